"""What the native libraries of a camera worker read from the environment, each when it loads or opens something."""

from __future__ import annotations

from typing import Final

MAX_PIXELS: Final = 25_000_000  # 6000 × 4000, 75 MB a frame; what claims more is refused before it is decoded

ENVIRONMENT: Final = {
    # FFmpeg and OpenCV may print an address with its password.
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    # UDP loses packets; low_delay spares the decoder's queue; half a second is enough to learn a stream's codec.
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|flags;low_delay|analyzeduration;500000",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1",  # seconds; the default is 10 blind ones
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
    "OPENBLAS_NUM_THREADS": "1",  # numpy's linear algebra is not used: save the memory of its threads
}
