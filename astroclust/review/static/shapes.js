// Shapes that identify classes in addition to colors: in the grid, lists and field.

const SIGNS = {
  circle: "●",
  square: "■",
  triangle: "▲",
  diamond: "◆",
  wedge: "▼",
  plus: "✚",
  cross: "✖",
};
// Number of corners of polygons, and angle of the first in radians.
const POLYGONS = {
  triangle: [3, -Math.PI / 2],
  diamond: [4, -Math.PI / 2],
  wedge: [3, Math.PI / 2],
};

let shapes = {};
let labelShapes = {};

// Names of the shapes by class and by label, from the server.
export function setShapes(ofClasses, ofLabels) {
  shapes = ofClasses;
  labelShapes = ofLabels;
}

export function shapeOf(number) {
  return SIGNS[shapes[number]] ?? "·";
}

export function labelShapeOf(number) {
  return SIGNS[labelShapes[number]] ?? "·";
}

// The outline of a shape about (x, y).
export function outline(context, shape, x, y, radius) {
  context.beginPath();
  if (shape in POLYGONS) {
    const [corners, first] = POLYGONS[shape];
    for (let i = 0; i < corners; i++) {
      const angle = (2 * Math.PI * i) / corners + first;
      const method = i ? "lineTo" : "moveTo";
      context[method](x + 1.15 * radius * Math.cos(angle), y + 1.15 * radius * Math.sin(angle));
    }
    context.closePath();
  } else if (shape === "square") {
    const side = radius * 0.88;
    context.rect(x - side, y - side, 2 * side, 2 * side);
  } else if (shape === "plus" || shape === "cross") {
    const turn = shape === "plus" ? 0 : Math.PI / 4;
    for (const angle of [turn, turn + Math.PI / 2]) {
      const [dx, dy] = [radius * Math.cos(angle), radius * Math.sin(angle)];
      context.moveTo(x - dx, y - dy);
      context.lineTo(x + dx, y + dy);
    }
  } else {
    context.arc(x, y, shape ? radius : radius * 0.6, 0, 2 * Math.PI);
  }
  context.stroke();
}
