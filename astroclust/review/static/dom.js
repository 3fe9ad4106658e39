// Create elements in one call.

export function make(name, properties = {}, children = []) {
  const element = Object.assign(document.createElement(name), properties);
  if (properties.role) element.setAttribute("role", properties.role);
  if (properties.ariaLabel) element.setAttribute("aria-label", properties.ariaLabel);
  element.append(...children);
  return element;
}
