// A line is drawn through what was measured, never across a hole or from one lap of a replay into the next.
export function withGaps(x, y, holeS, seams = []) {
  const outX = [];
  const outY = [];
  x.forEach((at, index) => {
    const before = x[index - 1];
    const seam = seams.find(([ms]) => ms / 1000 > before && ms / 1000 <= at);
    if (index && (seam || at - before > holeS)) {
      outX.push(seam ? Math.min(seam[0] / 1000, at - 0.001) : before + holeS / 2);
      outY.push(null);
    }
    outX.push(at);
    outY.push(y[index]);
  });
  return [outX, outY];
}
