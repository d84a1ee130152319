"""An RTSP camera on localhost: GStreamer's server, whose frames show the moment of their making (marked_pictures.py).

Run by the system's Python, for which Debian's python3-gi and gir1.2-gst-rtsp-server-1.0 are made:
`/usr/bin/python3 rtsp_server.py {h264|jpeg} FPS {none|basic|digest} PORT`. It prints its port; the path is /cam,
the user and password are user and S3cr3t-w0rd.
"""

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

WIDTH, HEIGHT, BITS = 640, 480, 16
ENCODERS = {
    "h264": "openh264enc gop-size=30 ! h264parse ! rtph264pay config-interval=-1",
    "jpeg": "jpegenc ! rtpjpegpay",
}


def picture() -> bytes:
    ms = time.monotonic_ns() // 1_000_000
    row = b"".join((b"\xeb" if ms >> bit & 1 else b"\x10") * (WIDTH // BITS) for bit in range(BITS))
    return row * HEIGHT


class Camera(GstRtspServer.RTSPMediaFactory):
    """One stream for all clients."""

    def __init__(self, codec: str, fps: int) -> None:
        super().__init__()
        self.set_shared(True)
        self.fps = fps
        self.pipeline = (
            "appsrc name=camera is-live=true do-timestamp=true format=time "
            f"caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},framerate={fps}/1 "
            f"! videoconvert ! video/x-raw,format=I420 ! {ENCODERS[codec]} name=pay0"
        )

    def do_create_element(self, _url: object) -> Gst.Element:
        return Gst.parse_launch(self.pipeline)

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_child_by_name("camera")

        def push() -> bool:
            return source.emit("push-buffer", Gst.Buffer.new_wrapped(picture())) == Gst.FlowReturn.OK

        GLib.timeout_add(1000 // self.fps, push)


def protect(server: GstRtspServer.RTSPServer, camera: Camera, method: str) -> None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if method == "digest":
        auth.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST
        auth.add_digest("user", "S3cr3t-w0rd", token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", "S3cr3t-w0rd"), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("user")
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("user", permission, True)
    camera.set_permissions(permissions)


def main(codec: str, fps: str, auth: str, port: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    camera = Camera(codec, int(fps))
    if auth != "none":
        protect(server, camera, auth)
    server.get_mount_points().add_factory("/cam", camera)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
