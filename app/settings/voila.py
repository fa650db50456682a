"""The page of one night (`make app`), as Voila serves it: for this computer, with a token, a kernel a visitor."""

import atexit
import os
import shutil
import tempfile

IDLE_S = 1800
"""A kernel that did nothing for so long is ended, with its recording, also where its page is still open."""
NOTHING_FROM_ELSEWHERE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' blob: data:; frame-ancestors 'self'"
)

folder = tempfile.mkdtemp(prefix="anysleep-page-")  # all that kernels leave, also those that were killed
atexit.register(shutil.rmtree, folder, ignore_errors=True)
os.environ["TMPDIR"] = tempfile.tempdir = folder

c = get_config()  # noqa: F821
c.Voila.ip = "127.0.0.1"
c.Voila.auto_token = True
c.Voila.tornado_settings = {
    "headers": {"Content-Security-Policy": NOTHING_FROM_ELSEWHERE},
    "disable_check_xsrf": True,  # a page that closes ends its kernel without that cookie; origins are checked still
}
c.IdentityProvider.cookie_options = {"samesite": "Strict"}  # so that no other site acts in a visitor's name
c.VoilaConfiguration.file_allowlist = []
c.MappingKernelManager.cull_idle_timeout = IDLE_S
c.MappingKernelManager.cull_interval = 60
c.MappingKernelManager.cull_connected = True
c.ZMQChannelsWebsocketConnection.limit_rate = False  # downloads are messages
