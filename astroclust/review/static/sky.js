// Positions on the sky as text.

const two = (number) => String(number).padStart(2, "0");

// Format a number of units, such as thousandths of a second, as hours or degrees, minutes and seconds.
function sexagesimal(units, digits) {
  const second = 10 ** digits;
  const whole = Math.floor(units / second);
  const rest = String(units % second).padStart(digits, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}.${rest}`;
}

export function sexagesimalPosition(ra, dec) {
  const day = 86_400_000;
  const hours = sexagesimal(Math.round((ra / 360) * day) % day, 3);
  const sign = dec < 0 ? "-" : "+";
  return `${hours} ${sign}${sexagesimal(Math.round(Math.abs(dec) * 360_000), 2)}`;
}

export function decimalPosition(ra, dec) {
  return `${ra.toFixed(7)} ${dec < 0 ? "" : "+"}${dec.toFixed(7)}`;
}

// Copy the text of an element, or select it if the browser does not allow copying.
export async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return "copied";
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy") ? "copied" : "selected: copy it with Ctrl-C";
  }
}
