"""
Completeness
============

Artificial clusters of known magnitude are added to the images and searched for with the same
settings as the candidates. The fraction that is found and passes the cuts is the completeness.
"""

from astroclust import completeness, simulate_field
from astroclust.injection import ArtificialClusters, limiting_magnitude
from astroclust.plotting import plot_completeness

field = simulate_field(like="ngc1566", shape=(240, 240), seed=11, density=4e-4)
clusters = ArtificialClusters(magnitudes=[21, 22, 23, 24, 25], radii=[1, 3], n=24)
result = completeness(field.images, clusters, distance=18)
figure = plot_completeness(result).figure

# %%
# Extended clusters are lost at brighter magnitudes, because their flux is spread over more noise.
# The limit of each radius, where half of the clusters are selected, with its 68 percent
# interval:

limits = limiting_magnitude(result)
print(limits)
