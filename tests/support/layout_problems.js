() => {
  const found = [], main = document.querySelector('[data-testid=stMain]'), width = window.innerWidth;
  const name = (element) => {
    const text = (element.textContent || element.getAttribute('aria-label') || '').trim().slice(0, 60);
    return `${element.tagName.toLowerCase()}.${String(element.getAttribute('class')).slice(0, 40)} “${text}”`;
  };
  const shown = (element) => {
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    return box.width > 1 && box.height > 1 && style.visibility === 'visible' && Number(style.opacity) > 0.05;
  };
  const scrolls = (element) => {
    for (let at = element; at && at !== main; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (['auto', 'scroll', 'hidden', 'clip'].includes(style.overflowX)) return true;
    }
    return false;
  };

  if (main.scrollWidth > main.clientWidth + 1) found.push(`the page is ${main.scrollWidth} px wide`);

  for (const element of main.querySelectorAll('*')) {
    if (element.closest('[aria-hidden=true], [data-testid=stDataFrame], .js-plotly-plot') || !shown(element)) continue;
    const box = element.getBoundingClientRect();
    if ((box.right > width + 1 || box.left < -1) && !scrolls(element)) found.push(`outside the window: ${name(element)}`);
  }

  // A table or other wide thing in a card that hides a part of it: reached only by scrolling sideways.
  for (const element of main.querySelectorAll('.atesc-table'))
    if (shown(element) && element.scrollWidth > element.clientWidth + 1 && width >= 1280)
      found.push(`${element.scrollWidth} px in ${element.clientWidth} px: ${name(element)}`);

  // Text that is cut off, or a letter a line.
  for (const element of main.querySelectorAll('button, a, label, h1, h2, h3, p')) {
    if (!shown(element) || element.closest('.js-plotly-plot, [data-testid=stDataFrame]')) continue;
    const text = element.innerText || '', box = element.getBoundingClientRect();
    const line = parseFloat(getComputedStyle(element).lineHeight) || 20;
    if (element.matches('button, a') && text.trim().length > 3 && box.height > 3.2 * line && !element.querySelector('img, svg, canvas'))
      found.push(`${Math.round(box.height / line)} lines in a button: ${name(element)}`);
    if (element.scrollWidth > element.clientWidth + 2 && getComputedStyle(element).overflowX === 'hidden' &&
        getComputedStyle(element).display !== 'inline')
      found.push(`cut off: ${name(element)}`);
  }

  // A legend's square above its text, and a change that is not beside its number.
  for (const square of main.querySelectorAll('.atesc-square')) {
    const text = document.createRange();
    text.selectNodeContents(square.parentElement);
    text.setStartAfter(square);
    if (shown(square) && text.toString().trim() && text.getBoundingClientRect().top >= square.getBoundingClientRect().bottom)
      found.push(`a square above its text: ${name(square.parentElement)}`);
  }
  for (const change of main.querySelectorAll('.atesc-tile-change'))
    if (change.getClientRects().length > 1) found.push(`in two lines: ${name(change)}`);

  // Labels in charts that lie on one another, or leave the chart.
  for (const plot of main.querySelectorAll('.js-plotly-plot')) {
    if (!shown(plot)) continue;
    const frame = plot.getBoundingClientRect();
    const texts = [...plot.querySelectorAll('svg text')].filter(
      (text) => text.textContent.trim() && shown(text) && !text.closest('.hoverlayer, .modebar'));
    const boxes = texts.map((text) => text.getBoundingClientRect());
    texts.forEach((text, i) => {
      const a = boxes[i];
      if (a.right > frame.right + 2 || a.left < frame.left - 2 || a.bottom > frame.bottom + 2 || a.top < frame.top - 2)
        found.push(`label outside its chart: “${text.textContent}”`);
      for (let j = i + 1; j < texts.length; j++) {
        const b = boxes[j];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && high > 3 && text.textContent !== texts[j].textContent)
          found.push(`labels overlap: “${text.textContent}” and “${texts[j].textContent}”`);
      }
    });
  }
  return [...new Set(found)];
}
