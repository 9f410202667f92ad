"""The door: sign in with password and code, sign out, prove once more who one is, take an invitation."""

import secrets
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timezone import now
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from riskops.forms import CodeForm, PasswordForm, SignInForm
from riskops.services import people, sign_in, slowing, step_up
from riskops.services.sign_in import Place, UnableToSignIn
from riskops.services.slowing import TooSoon
from trading.http import OperatorRequest, address_of
from trading.services import sessions

DEVICE_COOKIE: Final = f"gridconsole_device_{settings.PORT}"
DEVICE_SALT: Final = "riskops.device"
DEVICE_AGE: Final = timedelta(days=180)
REMEMBERED: Final = 8  # names a browser keeps


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("password", "code")
@csrf_protect
@never_cache
def enter(request: HttpRequest) -> HttpResponse:
    """Show the sign-in, or sign in; whoever has an authenticator is asked for its code next."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(_target(request))
    if request.method != "POST":
        return _door(request)
    place, at = _place(request), now()
    try:
        if token := request.POST.get("half_way", ""):
            code = CodeForm(request.POST)
            if not code.is_valid():
                return _door(request, error=" ".join(map(str, code.errors["code"])), half_way=token, status=422)
            try:
                person = sign_in.prove_code(token=token, code=code.cleaned_data["code"], place=place, at=at)
            except TooSoon as error:
                return _too_soon(request, error, half_way=token)
            except UnableToSignIn as error:
                half_way = token if str(error) == sign_in.WRONG_CODE else ""
                return _door(request, error=str(error), half_way=half_way)
        else:
            form = SignInForm(request.POST)
            if not form.is_valid():
                return _door(request, error=sign_in.WRONG)
            person = sign_in.prove_password(
                name=form.cleaned_data["username"], password=form.cleaned_data["password"], place=place, at=at
            )
            if step_up.is_set_up(person):
                return _door(request, half_way=sign_in.half_way(person))
    except TooSoon as error:
        return _too_soon(request, error)
    except UnableToSignIn as error:
        return _door(request, error=str(error))
    return _begin(request, person, place)


@require_POST
@csrf_protect
@never_cache
def leave(request: HttpRequest) -> HttpResponse:
    """Sign out: every page of this session closes its socket at once."""
    logout(request)
    sessions.tell()
    return redirect(settings.LOGOUT_REDIRECT_URL)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
@csrf_protect
@never_cache
def accept_invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Let whoever was invited set a password; then they sign in with it."""
    person, error = people.invited(secret, now()), ""
    if person is not None and request.method == "POST":
        form = PasswordForm(request.POST)
        try:
            if not form.is_valid():
                raise people.UnableToChange(" ".join(str(text) for texts in form.errors.values() for text in texts))
            people.accept(secret=secret, password=form.cleaned_data["new_password"], at=now())
        except people.UnableToChange as refusal:
            error = str(refusal)
        else:
            messages.success(request, f"Your password is set. Sign in as {person.username}.")
            return redirect("login")
    status = 404 if person is None else 422 if error else 200
    context = {"invited": person, "error": error}
    return render(request, "registration/invitation.html", context, status=status)


def prove(request: OperatorRequest, *, password: str, code: str) -> None:
    """Have the signed-in person prove who they are once more; the session goes on under another key.

    Raises:
        UnableToStepUp: they could not.
    """
    step_up.prove(person=request.user, password=password, code=code)
    request.session.cycle_key()


def _begin(request: HttpRequest, person: User, place: Place) -> HttpResponse:
    at = now()
    with transaction.atomic():
        login(request, person)
        sessions.place(request.session, address=place.address, browser=place.browser, at=at)
        notices = sign_in.began(person=person, place=place, at=at)
    for text in notices:
        messages.warning(request, text)
    answer = HttpResponseRedirect(_target(request))
    names = [slowing.hashed(person.username), *sorted(place.signed_in_here - {slowing.hashed(person.username)})]
    kept = signing.dumps([place.device or secrets.token_hex(16), names[:REMEMBERED]], salt=DEVICE_SALT)
    answer.set_cookie(
        DEVICE_COOKIE, kept, max_age=DEVICE_AGE, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )
    return answer


def _place(request: HttpRequest) -> Place:
    device, names = "", list[str]()
    with suppress(signing.BadSignature):  # none yet, or not ours: a stranger's browser
        device, names = signing.loads(request.COOKIES.get(DEVICE_COOKIE, ""), salt=DEVICE_SALT, max_age=DEVICE_AGE)
    return Place(address_of(request), request.headers.get("User-Agent", "")[:200], device, frozenset(names))


def _door(request: HttpRequest, *, error: str = "", half_way: str = "", status: int = 200, **more: Any) -> HttpResponse:
    asked = request.POST if request.method == "POST" else request.GET
    context = {"error": error, "half_way": half_way, "next": asked.get("next", ""), "name": asked.get("username", "")}
    return render(request, "registration/login.html", {**context, **more}, status=status)


def _too_soon(request: HttpRequest, error: TooSoon, *, half_way: str = "") -> HttpResponse:
    answer = _door(request, error=str(error), half_way=half_way, status=429)
    answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _target(request: HttpRequest) -> str:
    target = request.POST.get("next", "") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours else resolve_url(settings.LOGIN_REDIRECT_URL)
