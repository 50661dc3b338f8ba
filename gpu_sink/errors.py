"""What keeps an aligned stream from being read, apart from a broken frame (`contract.FrameError`)."""


class SourceError(Exception):
    """The topic or folder cannot be read; the message says what, where, and what to do."""


class SegmentError(SourceError):
    """A file of raw column segments is torn, corrupt or foreign; names file, column and offset."""


class OptionError(ValueError):
    """Options that do not go together or have no meaning; the message names them and their limits."""


class ColumnError(ValueError):
    """A column cannot be read with these options; the message names it and its type."""


class SampleError(ValueError):
    """Samples cannot be weighed or split; the message names the argument, the place and the value."""


class StateError(ValueError):
    """A state belongs to another stream, reader or set of options; the message shows both."""


class DeviceError(RuntimeError):
    """The device or the library that drives it is not there; the message says what to install or choose."""


class ReaderWarning(UserWarning):
    """A reader has no partition to read: there are more readers than partitions."""


class GapError(RuntimeError):
    """Rows of a partition are missing from its topic, and the options say not to go on without them."""


class GapWarning(UserWarning):
    """Rows of a partition are missing from its topic: frames between two that were read are not there."""


class OverwrittenError(RuntimeError):
    """A batch is read whose slot went to later rows."""


class HeldWarning(UserWarning):
    """Columns of a batch are held while its slot goes round: they will hold later rows."""


class OrderWarning(UserWarning):
    """Rows of a partition went back in time: a frame was written twice, or frames were mixed up."""
