/**
 * Shows the losses of all curves at the step under the pointer, or, with the chart in focus, at the step that the arrow
 * keys choose. Without it the report is complete but for these numbers.
 */
export const CURSOR_SCRIPT: string = `
const curves = JSON.parse(document.getElementById('curves').textContent);
const tip = document.getElementById('tip');
for (const chart of document.querySelectorAll('svg.chart')) {
  const line = chart.querySelector('.cursor');
  const { left, right, steps } = Object.fromEntries(Object.entries(chart.dataset).map(([k, v]) => [k, Number(v)]));
  let current = steps;
  const hide = () => { line.setAttribute('visibility', 'hidden'); tip.hidden = true; };
  const show = step => {
    current = Math.min(steps, Math.max(1, Math.round(step)));
    const x = left + (current / steps) * (right - left);
    line.setAttribute('x1', x); line.setAttribute('x2', x); line.setAttribute('visibility', 'visible');
    const rows = curves.filter(c => c.values[current - 1] != null)
      .sort((a, b) => b.values[current - 1] - a.values[current - 1])
      .map(c => {
        const row = document.createElement('tr');
        const name = document.createElement('th');
        const value = document.createElement('td');
        name.scope = 'row'; name.textContent = c.label; name.className = c.color;
        value.textContent = c.values[current - 1].toFixed(3);
        row.append(name, value);
        return row;
      });
    tip.querySelector('caption').textContent = 'step ' + current;
    tip.querySelector('tbody').replaceChildren(...rows);
    tip.hidden = false;
    const box = chart.getBoundingClientRect();
    const holder = tip.parentElement.getBoundingClientRect();
    const px = box.left - holder.left + x * box.width / chart.viewBox.baseVal.width;
    const toLeft = px + 14 + tip.offsetWidth > holder.width;
    tip.style.left = Math.max(0, toLeft ? px - 14 - tip.offsetWidth : px + 14) + 'px';
  };
  chart.addEventListener('pointermove', event => {
    const box = chart.getBoundingClientRect();
    const x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width;
    show((x - left) / (right - left) * steps);
  });
  chart.addEventListener('pointerleave', hide);
  chart.addEventListener('blur', hide);
  chart.addEventListener('keydown', event => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -Math.ceil(steps / 20), PageUp: Math.ceil(steps / 20) }[event.key];
    if (by) { event.preventDefault(); show(current + by); }
  });
}
for (const entry of document.querySelectorAll('[data-run]')) {
  const mark = on => {
    document.body.classList.toggle('picked', on);
    for (const part of document.querySelectorAll('[data-series]')) {
      part.classList.toggle('strong', on && part.dataset.series === entry.dataset.run);
    }
  };
  entry.addEventListener('pointerenter', () => mark(true));
  entry.addEventListener('pointerleave', () => mark(false));
}
`;
