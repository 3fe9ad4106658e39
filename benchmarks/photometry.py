# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the accuracy of the photometry and of its errors.

Isolated clusters and stars of known flux are drawn with the PSF of HST on a smooth background in
five bands, and measured with and without the correlated noise of drizzled images. The expected
values are direct sums over the image without noise, with each pixel divided into many parts. The
results are

- for magnitudes and concentration indices, the largest difference from these sums, without noise;
- for the pulls of the fluxes, (measured - true) / error, the mean and standard deviation in each
  band, for different formulas of the error and statistics of the sky.
"""

import argparse

import numpy as np
from astropy.nddata import CCDData
from astropy.table import Table

from astroclust import ImageSet, measure_photometry
from astroclust.photometry import Apertures, concentration_index
from astroclust.simulation.detector import add_noise
from astroclust.simulation.drawing import Ellipse, Source, draw_field, split_sources
from astroclust.simulation.observations import observe_like

# All bands of one camera, with the noise of quiet sky in e-/s per drizzled pixel as measured in the
# images of NGC 628C, NUV to I.
LIKE, SKY_NOISE = "ngc1566", (0.0027, 0.0031, 0.0054, 0.0084, 0.0165)
SPACING = 48  # pixels from source to source
# Parts of a pixel in each direction: for some sources, so many that the area of a circle with a
# radius of 1 pixel is accurate to 0.0003; and fewer, for the pulls of all sources.
FINE, COARSE, N_FINE = 200, 40, 100
HALF = 5  # half-width in pixels of the region that contains all apertures


def draw_sources(n, rng):
    """Images without noise, shape (5, ny, nx), positions of the sources, and the observation."""
    observation = observe_like(LIKE, rng, SKY_NOISE)
    side = int(np.ceil(np.sqrt(n))) * SPACING
    grid = np.arange(SPACING / 2, side, SPACING)
    x, y = (axis.ravel()[:n] + rng.uniform(-2, 2, n) for axis in np.meshgrid(grid, grid))
    sources = []
    for position in zip(x, y, strict=True):
        magnitudes = rng.uniform(19.5, 23.5) + rng.normal(0, 0.4, len(SKY_NOISE))
        profile = Ellipse(("eff", 1.5), rng.uniform(0.3, 3)) if rng.random() < 0.7 else None
        flux = 10 ** (0.4 * (observation.zero_points - magnitudes))
        sources.append(Source(*position, flux, profile))
    image = draw_field(sources, split_sources([])[0], (side, side), observation)
    slope = np.linspace(0, 0.02, side, dtype=np.float32)
    return image + 0.05 + slope[:, None], Table({"x": x, "y": y}), observation


def direct_sums(images, x, y, radii, parts):
    """Flux within the radii minus the median from 7 to 8 pixels, shape (bands, n, len(radii))."""
    sums = np.empty((len(images), len(x), len(radii)))
    n = 2 * HALF + 1
    for i, (x0, y0) in enumerate(zip(x, y, strict=True)):
        column, row = round(x0), round(y0)
        part = (np.arange(n * parts) + 0.5) / parts - 0.5 - HALF
        squares = (part + column - x0) ** 2 + ((part + row - y0) ** 2)[:, None]
        inside = [
            (squares < radius**2).reshape(n, parts, n, parts).mean(axis=(1, 3)) for radius in radii
        ]
        centers = np.arange(-9, 10)
        ring = np.hypot(centers + column - x0, (centers + row - y0)[:, None])
        ring = (ring >= 7) & (ring < 8)
        for j, image in enumerate(images):
            sky = np.median(image[row - 9 : row + 10, column - 9 : column + 10][ring])
            pixels = image[row - HALF : row + HALF + 1, column - HALF : column + HALF + 1] - sky
            sums[j, i] = [np.sum(weights * pixels) for weights in inside]
    return sums


def images_of(pixels, observation):
    """Convert an array of images to an ImageSet with exposure times."""
    return ImageSet(
        {
            name: CCDData(band, unit="electron / s", meta={"EXPTIME": exposure})
            for name, band, exposure in zip(
                observation.filters, pixels, observation.exposure_times, strict=True
            )
        }
    )


def main():
    """Simulate, measure, sum and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sources", type=int, default=1600)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    clean, positions, observation = draw_sources(arguments.sources, rng)
    noisy = clean.copy()
    add_noise(noisy, observation, rng)
    some = positions[:N_FINE]
    true = direct_sums(clean.astype(float), some["x"], some["y"], (4, 1, 3), FINE)
    measured = measure_photometry(some, images_of(clean, observation))
    print(f"{len(some)} sources; largest difference from a direct sum, without noise (mag):")
    zero_points = observation.zero_points
    for name, zero, flux in zip(observation.filters, zero_points, true, strict=True):
        magnitude = zero - 2.5 * np.log10(flux[:, 0])
        index = concentration_index(some, images_of(clean, observation)[name])
        of_magnitude = np.max(np.abs(measured[f"mag_{name.lower()}"] - magnitude))
        of_index = np.max(np.abs(index + 2.5 * np.log10(flux[:, 1] / flux[:, 2])))
        print(f"  {name}  magnitude {of_magnitude:.5f}  concentration index {of_index:.5f}")

    true = direct_sums(clean.astype(float), positions["x"], positions["y"], (4,), COARSE)
    print(f"\n{len(positions)} sources; pulls, mean and standard deviation:")
    print(f"  {'errors':<11}{'sky':<8}" + "".join(f"{name:>15}" for name in observation.filters))
    for errors, sky in (("correlated", "median"), ("correlated", "mode"), ("iraf", "mode")):
        measured = measure_photometry(
            positions,
            images_of(noisy, observation),
            errors=errors,
            apertures=Apertures(sky_statistic=sky),
        )
        line = f"  {errors:<11}{sky:<8}"
        for name, flux in zip(observation.filters, true, strict=True):
            column = name.lower()
            pull = (measured[f"flux_{column}"] - flux[:, 0]) / measured[f"flux_err_{column}"]
            line += f"   {np.mean(pull):+.2f}  {np.std(pull):.2f}  "
        print(line)


if __name__ == "__main__":
    main()
