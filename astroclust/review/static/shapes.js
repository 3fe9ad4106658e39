// A shape a class beside its colour, the same in the grid, in lists and on the field.

const SHAPES = { 1: "●", 2: "■", 3: "▲", 4: "◆" };

export function shapeOf(number) {
  return SHAPES[number] ?? "·";
}

// The outline of the shape of a class about (x, y).
export function outline(context, number, x, y, radius) {
  context.beginPath();
  if (number === 2) {
    const side = radius * 0.88;
    context.rect(x - side, y - side, 2 * side, 2 * side);
  } else if (number === 3 || number === 4) {
    const corners = number === 3 ? 3 : 4;
    for (let i = 0; i < corners; i++) {
      const angle = (2 * Math.PI * i) / corners - Math.PI / 2;
      const method = i ? "lineTo" : "moveTo";
      context[method](x + 1.15 * radius * Math.cos(angle), y + 1.15 * radius * Math.sin(angle));
    }
    context.closePath();
  } else {
    context.arc(x, y, number ? radius : radius * 0.6, 0, 2 * Math.PI);
  }
  context.stroke();
}
