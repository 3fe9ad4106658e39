# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Detection limit of the LEGUS threshold, compared with the released catalog.

Measures the V magnitude at which half of the artificial clusters in the noise of quiet sky in NGC
628C are detected with the preset ``legus``, and the faint end of the V magnitudes in the released
catalog of NGC 628C, for detections with colors and a concentration index.
"""

import numpy as np
from astropy.nddata import CCDData
from real_data import data_path

from astroclust import ImageSet, completeness, find_field, read_legus
from astroclust.injection import ArtificialClusters, limiting_magnitude
from astroclust.simulation.detector import add_noise
from astroclust.simulation.headers import header_of
from astroclust.simulation.observations import observe_like

SIZE = 600
# Noise of quiet sky in e-/s per drizzled pixel, measured in the images of NGC 628C, NUV to I.
SKY_NOISE = (0.0027, 0.0031, 0.0054, 0.0084, 0.0165)
CATALOG = "hlsp_legus_hst_acs-wfc3_ngc628-c_multiband_v1_padagb-mwext-avgapcor.tab"


def main():
    """Inject clusters and print both limits."""
    catalog = read_legus(data_path("legus_catalogs", CATALOG))
    rng = np.random.default_rng(1)
    field = find_field("ngc628-c")
    observation = observe_like(field.name, rng, SKY_NOISE)
    pixels = np.zeros((len(SKY_NOISE), SIZE, SIZE), np.float32)
    add_noise(pixels, observation, rng)
    images = ImageSet(
        {
            name: CCDData(band, unit="electron / s", meta=header)
            for name, band, header in zip(
                field.filters, pixels, header_of(observation, field), strict=True
            )
        }
    )
    result = completeness(
        images,
        ArtificialClusters(np.arange(22.5, 26.1, 0.5), radii=[0.6, 1, 2], n=30),
        progress_bar=True,
    )
    print("V magnitude at which half of the clusters are found, by half-light radius:")
    print("\n".join(limiting_magnitude(result, column="found").pformat()))
    v = np.ma.compressed(catalog["mag_f555w"])
    percentages = (5, 25, 50, 75, 95)
    values = ", ".join(f"{value:.2f}" for value in np.percentile(v, percentages))
    print(f"V of {len(v)} rows of NGC 628C, {percentages} percent below: {values}")


if __name__ == "__main__":
    main()
