# Licensed under a 3-clause BSD style license - see LICENSE.rst
import pytest
import torch

from astroclust import create_network


@pytest.mark.parametrize("size", [25, 50, 100])
@pytest.mark.parametrize(("n_bands", "n_classes"), [(5, 4), (1, 2)])
def test_a_network_gives_a_score_a_class(size, n_bands, n_classes):
    network = create_network("native", n_bands=n_bands, n_classes=n_classes).eval()
    scores = network(torch.zeros(3, n_bands, size, size), torch.ones(3, n_bands))
    assert scores.shape == (3, n_classes)


def test_an_absent_band_differs_from_a_dark_one():
    torch.manual_seed(0)
    network = create_network("native").eval()
    pixels = torch.zeros(1, 5, 50, 50)
    present = torch.ones(1, 5)
    absent = torch.tensor([[1.0, 1, 1, 0, 1]])
    assert not torch.allclose(network(pixels, present), network(pixels, absent))


def test_unknown_names():
    with pytest.raises(ValueError, match="network 'resnet' is not known: there are native"):
        create_network("resnet")
