// What grew against the period before, and by more than chance.
const GROWTH_OF = ["topic", "agency", "town"];
const BEYOND_CHANCE = 0.05;
const logFactorials = [0];

function logFactorial(n) {
  while (logFactorials.length <= n) logFactorials.push(logFactorials[logFactorials.length - 1] + Math.log(logFactorials.length));
  return logFactorials[n];
}

// The probability that at least `now` of `now + before` incidents fall into the later of two equal periods, if each
// falls into either with the same probability: the conditional test of two Poisson rates (Przyborowski and Wilenski 1940).
function chanceOfGrowth(now, before) {
  const all = now + before;
  let sum = 0;
  for (let count = all; count >= now; count -= 1) {
    sum += Math.exp(logFactorial(all) - logFactorial(count) - logFactorial(all - count) - all * Math.LN2);
  }
  return Math.min(1, sum);
}

// Adjusts the chances for the number of labels compared (Benjamini and Hochberg 1995); takes them in rising order.
function adjust(labels) {
  let least = 1;
  for (let at = labels.length - 1; at >= 0; at -= 1) {
    least = Math.min(least, labels[at].p * labels.length / (at + 1));
    labels[at].q = least;
  }
}

// The labels with more new incidents than in the period before, the least explicable by chance first. Incidents are
// counted, not reports, for forty reports of one pipe are no growth of pipes that burst.
function grown(first, { now, before }) {
  const labels = [];
  for (const dimension of GROWTH_OF) {
    if (state.chosen[dimension] !== undefined) continue;
    const counts = data.names[dimension].map((_, code) => ({ dimension, code, now: 0, before: 0 }));
    for (const row of first) {
      if (row < 0 || column[dimension][row] < 0) continue;
      const label = counts[column[dimension][row]];
      if (within(column.day[row], now)) label.now += 1;
      else if (within(column.day[row], before)) label.before += 1;
    }
    labels.push(...counts.filter((label) => label.now + label.before));
  }
  for (const label of labels) label.p = chanceOfGrowth(label.now, label.before);
  labels.sort((a, b) => a.p - b.p || b.now - a.now);
  adjust(labels);
  return labels.filter((label) => label.now > label.before);
}
