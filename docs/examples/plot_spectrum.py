"""
Spectral energy distributions
=============================

`~astroclust.sed.to_spectrum` converts a row of photometry to a `specutils.Spectrum` in Jy, for
programs that fit ages and masses.
"""

from matplotlib.figure import Figure

from astroclust import measure_photometry, simulate_field
from astroclust.sed import to_spectrum

field = simulate_field(like="ngc1566", shape=(240, 240), seed=11, density=4e-4)
truth = field.truth[field.truth["class"] == 1]
truth.sort("mag_v")
table = measure_photometry(truth["x", "y", "log_age"], field.images)
table = table[table["mag_err_f555w"].filled(1) < 0.1]

figure = Figure(figsize=(6.5, 4.5), layout="constrained")
ax = figure.subplots()
for row in table[:4]:
    spectrum = to_spectrum(row)
    wavelength, flux = spectrum.spectral_axis.value, spectrum.flux.value
    ax.errorbar(
        wavelength, flux, spectrum.uncertainty.array, marker="o", label=f"{row['log_age']:.1f}"
    )
ax.set(xlabel="wavelength (Angstrom)", ylabel="flux (Jy)", yscale="log")
ax.legend(title="log of the true age (yr)")
