# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Log of one line per training epoch, for runs without a progress bar."""

import logging
from time import monotonic

from lightning.pytorch.callbacks import Callback

__all__ = ["EpochLog"]

log = logging.getLogger(__name__)


class EpochLog(Callback):
    """Log epoch, loss, validation accuracy and remaining time, at level INFO.

    Parameters
    ----------
    steps : int
        Number of steps of the complete training.
    """

    def __init__(self, steps):
        self._steps, self._first, self._begun = steps, 0, 0.0

    def on_train_start(self, trainer, _):
        """Record the start time, and the step from which this run resumes."""
        self._first, self._begun = trainer.global_step, monotonic()

    def on_train_epoch_end(self, trainer, _):
        """Log a line."""
        if not trainer.is_global_zero:
            return
        done = trainer.global_step
        each = (monotonic() - self._begun) / max(done - self._first, 1)
        known = trainer.callback_metrics
        scores = {"loss": "loss", "accuracy": "validation accuracy"}
        parts = [f"{text} {known[name]:.3f}" for name, text in scores.items() if name in known]
        parts.append(f"{_duration(each * max(self._steps - done, 0))} left")
        epochs = -(-self._steps * (trainer.current_epoch + 1) // done)
        log.info("epoch %d of %d: %s", trainer.current_epoch + 1, epochs, ", ".join(parts))


def _duration(seconds):
    """Duration in hours and minutes, or in minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
