"""What governance remembers."""

from riskops.models.kill_switch import ResumeRequest

__all__ = ["ResumeRequest"]
