"""Plots of the measurements here: lines with points as one SVG, for light and dark pages. Knows no measurements."""
import math

COLOURS = [("#0b6bcb", "#6cb6ff"), ("#c2410c", "#ff9b5e"), ("#15803d", "#57d38c"), ("#7e22ce", "#c79bff"), ("#a16207", "#e8c35a"),
           ("#be123c", "#ff8fa8")]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 780, 460, 70, 170, 46, 52


def powers(values, base):
    """The powers of the base that enclose all the values."""
    first, last = math.floor(math.log(min(values), base) + 1e-9), math.ceil(math.log(max(values), base) - 1e-9)
    return [base**e for e in range(first, max(last, first + 1) + 1)]


def steps(values, step):
    """The multiples of the step that enclose all the values."""
    first, last = math.floor(min(values) / step), math.ceil(max(values) / step)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


class Axis:
    """`marks` are where it has lines, the first and last its ends; text(mark) is what stands there."""

    def __init__(self, marks, text, logarithmic=True):
        self.marks, self.text = marks, text
        self.scale = math.log if logarithmic else float

    def place(self, value, begin, end):
        low, high = self.scale(self.marks[0]), self.scale(self.marks[-1])
        return begin + (end - begin) * (self.scale(value) - low) / (high - low)


def chart(title, below, x_axis, y_axis, series):
    """series: {name: [(x, y) or (x, y, text at the point)]}; llama.cpp's are dashed. Names stand at the ends of the lines, but where a
    single point has its text."""
    series = {name: points for name, points in series.items() if points}

    def x(value):
        return x_axis.place(value, LEFT, WIDTH - RIGHT)

    def y(value):
        return y_axis.place(value, HEIGHT - BOTTOM, TOP)

    rules = ["text{font:13px system-ui,sans-serif;fill:#222}.note{font-size:11px}.grid{stroke:#ddd}.back{fill:#fff}"]
    dark = ["text{fill:#e6e6e6}.grid{stroke:#3a3f45}.back{fill:#16191d}"]
    for i, (light_colour, dark_colour) in enumerate(COLOURS):
        rules.append(".s%d{stroke:%s}.f%d{fill:%s}" % (i, light_colour, i, light_colour))
        dark.append(".s%d{stroke:%s}.f%d{fill:%s}" % (i, dark_colour, i, dark_colour))
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">' % (WIDTH, HEIGHT, WIDTH, HEIGHT),
           "<style>%s@media(prefers-color-scheme:dark){%s}</style>" % ("".join(rules), "".join(dark)),
           '<rect class="back" width="100%" height="100%"/>',
           '<text x="%d" y="24" style="font-weight:600">%s</text>' % (LEFT, title)]
    for mark in x_axis.marks:
        out.append('<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>' % (x(mark), TOP, x(mark), HEIGHT - BOTTOM))
        out.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (x(mark), HEIGHT - BOTTOM + 20, x_axis.text(mark)))
    for mark in y_axis.marks:
        out.append('<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>' % (LEFT, y(mark), WIDTH - RIGHT, y(mark)))
        out.append('<text x="%d" y="%.1f" text-anchor="end">%s</text>' % (LEFT - 8, y(mark) + 4, y_axis.text(mark)))
    out.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % ((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, below))
    # Names at the ends of the lines, pushed apart where they would touch.
    ends = sorted((y(points[-1][1]), i, name) for i, (name, points) in enumerate(series.items()))
    lowest = -1e9
    for at, i, name in ends:
        points, colour = series[name], i % len(COLOURS)
        path = " ".join("%.1f,%.1f" % (x(p[0]), y(p[1])) for p in points)
        dashes = ' stroke-dasharray="6 4"' if name.startswith("llama") else ""
        out.append('<polyline class="s%d" fill="none" stroke-width="2"%s points="%s"/>' % (colour, dashes, path))
        out.extend('<circle class="f%d" cx="%.1f" cy="%.1f" r="3"/>' % (colour, x(p[0]), y(p[1])) for p in points)
        out.extend('<text class="note f%d" x="%.1f" y="%.1f">%s</text>' % (colour, x(p[0]) + 6, y(p[1]) + (-5 if i % 2 else 13), p[2])
                   for p in points if len(p) > 2)
        if len(points) == 1 and len(points[0]) > 2:
            continue
        lowest = max(at + 4, lowest + 17)
        out.append('<text class="f%d" x="%.1f" y="%.1f">%s</text>' % (colour, WIDTH - RIGHT + 8, lowest, name))
    return "\n".join(out + ["</svg>"]) + "\n"
