"""
The bands of LEGUS and of JWST
==============================

`~astroclust.instruments.find_filter` looks up the wavelengths of a filter, and a band system
assigns filters to bands. LEGUS mosaics have one filter per band, which differs from field to
field.
"""

from matplotlib.figure import Figure

from astroclust.instruments import LEGUS_BANDS, find_filter

cameras = {"WFC3/UVIS": "uvis", "ACS/WFC": "acs", "NIRCam short": "nircam-sw"}
names = {
    "uvis": ("F225W", "F275W", "F336W", "F438W", "F547M", "F555W", "F606W", "F814W"),
    "acs": ("F435W", "F555W", "F606W", "F814W"),
    "nircam-sw": ("F115W", "F150W", "F200W"),
}
colors = {"NUV": "#CC79A7", "U": "#0072B2", "B": "#56B4E9", "V": "#009E73", "I": "#D55E00"}

figure = Figure(figsize=(9, 4.5), layout="constrained")
ax = figure.subplots()
for row, camera in enumerate(cameras.values()):
    for number, name in enumerate(names[camera]):
        known = find_filter(camera, name)
        role = LEGUS_BANDS.filters.get(name)
        y = row + 0.25 * (number % 3 - 1)
        half = known.width / 2
        ax.plot(
            [known.pivot - half, known.pivot + half], [y, y], lw=5, color=colors.get(role, "0.6")
        )
        ax.text(known.pivot, y + 0.05, name, ha="center", va="bottom", fontsize=7)
for role, color in colors.items():
    ax.plot([], [], lw=5, color=color, label=role)
ax.plot([], [], lw=5, color="0.6", label="no LEGUS band")
ax.set_yticks(range(len(cameras)), cameras)
ax.set(xscale="log", xlabel="wavelength (Angstrom)", ylim=(-0.5, 2.5))
ax.set_xticks(
    [2500, 3500, 5000, 7000, 10_000, 20_000],
    labels=["2500", "3500", "5000", "7000", "10 000", "20 000"],
)
ax.minorticks_off()
ax.legend(ncols=6, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 1.12), frameon=False)
