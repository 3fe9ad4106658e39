# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Faster R-CNN and Mask R-CNN for small sources in any number of bands, based on torchvision."""

import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign, clip_boxes_to_image, nms

from astroclust.detectors.backbones import STRIDES, create_pyramid

__all__ = ["DetectorNetwork", "create_detector_network"]

# Anchor sizes for each map, in pixels.
_ANCHORS = ((4, 7), (10, 14), (20, 30))
# Boxes of this width are pooled from the map of stride 4, those half as wide from stride 2.
_CANONICAL_SIZE, _CANONICAL_LEVEL = 16, 2
# Width of the pooled features in map cells, and the size, relative to the box, of the surroundings
# that are also pooled: without them, a star in a crowd looks like a cluster.
_BOX_CELLS, _MASK_CELLS, _SURROUNDINGS = 7, 14, 4.0
_HIDDEN = 256
# Proposals, per map before and per tile after suppression of overlaps.
_BEFORE, _AFTER = {"training": 1000, "testing": 2000}, {"training": 300, "testing": 800}
_SAMPLED, _POSITIVE = 64, 0.33
# Weight of one tile in the running class fractions, and minimum fraction of a class.
_MEMORY, _RAREST = 0.002, 1e-4
# Minimum box width in pixels.
_NARROWEST = 1.5


def create_detector_network(
    backbone="native", *, n_bands=5, n_classes=4, masks=False, weights=None
):
    """Create a network that detects and outlines sources.

    A Faster R-CNN (Ren et al. 2015) on a feature pyramid, or with masks a Mask R-CNN (He et al.
    2017), as in `torchvision.models.detection`, with anchors of 4 to 30 pixels. Classification uses
    the box and its surroundings; each box has the probabilities of all classes.

    Parameters
    ----------
    backbone : str, optional
        Network below the pyramid: ``"native"``, ``"native-small"``, ``"native-large"``; a
        torchvision network, such as ``"resnet18"``; or a timm network prefixed by ``timm/``, also
        by its name on the Hugging Face hub, such as
        ``"timm/hf-hub:mwalmsley/zoobot-encoder-efficientnet_b0"``.
    n_bands : int, optional
        Number of bands of the images.
    n_classes : int, optional
        Number of source classes.
    masks : bool, optional
        Whether it also outlines sources.
    weights : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        Initial weights of the backbone: ``"none"`` for random weights; for the native networks a
        classifier, by default the bundled one; for the others ``"imagenet"`` (the default) or a
        file.

    Returns
    -------
    network : `DetectorNetwork`
        The network, with one output more than there are classes, for the background.

    Raises
    ------
    ValueError
        If the backbone is unknown, or the weights do not fit.

    Examples
    --------
    >>> import torch
    >>> from astroclust.detectors import create_detector_network
    >>> network = create_detector_network("native-small", weights="none").eval()
    >>> found = network(torch.zeros(1, 5, 64, 64))
    >>> sorted(found[0])
    ['boxes', 'labels', 'scores']
    """
    pyramid = create_pyramid(backbone, n_bands, weights)
    channels, levels = pyramid.out_channels, [str(i) for i in range(len(STRIDES))]
    anchors = AnchorGenerator(_ANCHORS, ((1.0,),) * len(STRIDES))
    proposals = _Proposals(
        anchors,
        RPNHead(channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n=_BEFORE,
        post_nms_top_n=_AFTER,
        nms_thresh=0.7,
    )
    heads = _Heads(
        _BoxAndSurroundings(_pool(levels, _BOX_CELLS)),
        TwoMLPHead(2 * channels * _BOX_CELLS**2, _HIDDEN),
        FastRCNNPredictor(_HIDDEN, n_classes + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=_SAMPLED,
        positive_fraction=_POSITIVE,
        bbox_reg_weights=None,
        score_thresh=0.0,
        nms_thresh=0.5,
        detections_per_img=_AFTER["testing"],
        n_classes=n_classes,
        **(_mask_parts(channels, levels, n_classes) if masks else {}),
    )
    return DetectorNetwork(pyramid, proposals, heads)


class DetectorNetwork(nn.Module):
    """Feature pyramid, proposal network, and heads that classify the proposals.

    Parameters
    ----------
    pyramid : `~astroclust.detectors.backbones.Pyramid`
        From pixels to maps.
    proposals : `~torchvision.models.detection.rpn.RegionProposalNetwork`
        From maps to boxes.
    heads : `~torchvision.models.detection.roi_heads.RoIHeads`
        From maps and boxes to classes, refined boxes, and masks.
    """

    def __init__(self, pyramid, proposals, heads):
        super().__init__()
        self.pyramid, self.proposals, self.heads = pyramid, proposals, heads

    def forward(self, pixels, targets=None, *, min_score=0.0):
        """Find sources in tiles; in training, the losses.

        Parameters
        ----------
        pixels : `~torch.Tensor`, shape (n, n_bands, ny, nx)
            Normalized tiles, in which absent bands are zero; ny and nx must be multiples of 8.
        targets : list of dict, optional
            In training, for each tile: ``boxes``, shape (k, 4), the edges x0, y0, x1, y1 in pixels;
            ``labels``, shape (k,), from 1; for masks ``masks``, shape (k, ny, nx); optionally
            ``unknown``, shape (ny, nx), pixels in which boxes without a source are not counted as
            background.
        min_score : float, optional
            In evaluation, the minimum probability of being a source.

        Returns
        -------
        found : list of dict
            In evaluation, for each tile: ``boxes``, shape (k, 4); ``scores``, shape (k, n_classes),
            the class probabilities, which sum to that of being a source; ``labels``, the most
            probable class; and ``masks``, shape (k, 1, 28, 28), one per box.
        losses : dict of str to `~torch.Tensor`
            In training, the terms of the total loss.
        """
        sizes = [tuple(pixels.shape[2:])] * len(pixels)
        maps = self.pyramid(pixels)
        boxes, proposal_losses = self.proposals(ImageList(pixels, sizes), maps, targets)
        self.heads.score_thresh = min_score
        found, losses = self.heads(maps, boxes, sizes, targets)
        return {**losses, **proposal_losses} if self.training else found


def _pool(levels, cells):
    return MultiScaleRoIAlign(
        levels,
        cells,
        sampling_ratio=1,
        canonical_scale=_CANONICAL_SIZE,
        canonical_level=_CANONICAL_LEVEL,
    )


def _mask_parts(channels, levels, n_classes):
    return {
        "mask_roi_pool": _pool(levels, _MASK_CELLS),
        "mask_head": MaskRCNNHeads(channels, (channels,) * 3, 1),
        "mask_predictor": MaskRCNNPredictor(channels, channels, n_classes + 1),
    }


class _BoxAndSurroundings(nn.Module):
    """Pooled features of each box, and of its surroundings as additional channels."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, maps, boxes, shapes):
        wider = [
            clip_boxes_to_image(_widened(each), s) for each, s in zip(boxes, shapes, strict=True)
        ]
        return torch.cat([self.pool(maps, boxes, shapes), self.pool(maps, wider, shapes)], dim=1)


def _widened(boxes):
    low, high = boxes.split(2, dim=1)
    middle, half = (low + high) / 2, (high - low) / 2 * _SURROUNDINGS
    return torch.cat([middle - half, middle + half], dim=1)


class _Proposals(RegionProposalNetwork):
    """Torchvision's proposals, with a loss that ignores unknown pixels."""

    def assign_targets_to_anchors(self, anchors, targets):
        """Label of each anchor, -1 if it is ignored, and the box of its source."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        for parts in zip(labels, anchors, targets, strict=True):
            _ignore_unknown(*parts)
        return labels, boxes


def _ignore_unknown(labels, boxes, target):
    """Replace background labels with -1 if the center of the box is an unknown pixel."""
    unknown = target.get("unknown")
    if unknown is None or not unknown.any():
        return
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).long().T
    ny, nx = unknown.shape
    labels[(labels == 0) & unknown[y.clamp(0, ny - 1), x.clamp(0, nx - 1)]] = -1


class _Heads(RoIHeads):
    """torchvision heads that return each box once, with the probabilities of all classes.

    Most sources are faint stars. To show the heads more of the rare classes, training boxes are
    drawn evenly from all classes. The frequencies of the classes, and of the drawn boxes, are
    recorded, and probabilities are corrected to the actual class frequencies.
    """

    targets = ()

    def __init__(self, *parts, batch_size_per_image, positive_fraction, n_classes, **options):
        super().__init__(
            *parts,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=positive_fraction,
            **options,
        )
        self.n_sampled = batch_size_per_image
        self.n_positive = int(positive_fraction * batch_size_per_image)
        self.register_buffer("there", torch.full((n_classes,), 1 / n_classes))
        self.register_buffer("drawn", torch.full((n_classes,), 1 / n_classes))

    def select_training_samples(self, proposals, targets):
        """Select boxes for training, with their labels and offsets."""
        self.targets = targets
        found = super().select_training_samples(proposals, targets)
        self.targets = ()
        return found

    def assign_targets_to_proposals(self, proposals, gt_boxes, gt_labels):
        """Source and label of each box, -1 if it is ignored."""
        rows, labels = super().assign_targets_to_proposals(proposals, gt_boxes, gt_labels)
        for parts in zip(labels, proposals, self.targets, strict=True):
            _ignore_unknown(*parts)
        return rows, labels

    def expect(self, fractions):
        """Set the class frequencies, to replace those recorded for other images."""
        self.there.copy_(torch.as_tensor(fractions))

    def subsample(self, labels):
        """Rows of the boxes of each tile used to train the heads."""
        return [self._sample(each) for each in labels]

    def _sample(self, labels):
        positive, negative = (labels > 0).nonzero()[:, 0], (labels == 0).nonzero()[:, 0]
        n = min(len(positive), self.n_positive)
        if n:
            classes = labels[positive] - 1
            counts = torch.bincount(classes, minlength=len(self.there))
            rows = torch.multinomial(1 / counts[classes], n)
            drawn = torch.bincount(classes[rows], minlength=len(self.there))
            for fractions, number in ((self.there, counts), (self.drawn, drawn)):
                fractions.lerp_(number / number.sum(), _MEMORY)
            positive = positive[rows]
        order = torch.randperm(len(negative), device=labels.device)
        return torch.cat([positive[:n], negative[order[: self.n_sampled - n]]])

    def postprocess_detections(self, class_logits, box_regression, proposals, image_shapes):
        """Boxes, scores and labels of each tile, after suppression of overlaps."""
        counts = [len(each) for each in proposals]
        boxes = self.box_coder.decode(box_regression, proposals)
        rarer = torch.log(self.there + _RAREST) - torch.log(self.drawn + _RAREST)
        probabilities = (class_logits + nn.functional.pad(rarer, (1, 0))).softmax(dim=1)
        found = [], [], []
        for shape, here, scores in zip(
            image_shapes, boxes.split(counts), probabilities.split(counts), strict=True
        ):
            scores = scores[:, 1:]
            labels = scores.argmax(dim=1) + 1
            here = clip_boxes_to_image(here[torch.arange(len(here)), labels], shape)
            total, width = scores.sum(dim=1), (here[:, 2:] - here[:, :2]).amin(dim=1)
            kept = ((total >= self.score_thresh) & (width > _NARROWEST)).nonzero()[:, 0]
            kept = kept[nms(here[kept], total[kept], self.nms_thresh)][: self.detections_per_img]
            for values, part in zip(found, (here, scores, labels), strict=True):
                values.append(part[kept])
        return found
