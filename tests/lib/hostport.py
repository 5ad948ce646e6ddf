# SPDX-License-Identifier: Apache-2.0
"""Servers and ports on the host's loopback for network tests. Everything listens on 127.0.0.1 unless told otherwise."""
import functools
import http.server
import os
import socket
import threading


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server(threading.Thread):
    """Accepts connections and hands each to `serve`, in a thread of its own."""

    def __init__(self, serve):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.serve = serve
        self.start()

    def run(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.one, args=(conn,), daemon=True).start()

    def one(self, conn):
        with conn:
            conn.settimeout(10)
            try:
                self.serve(conn)
            except OSError:
                pass  # the guest's side went away: the test looks at that side

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class _HttpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # a guest whose network was killed: its side is what the test looks at


class Web:
    """A directory served by HTTP."""

    def __init__(self, directory, address="127.0.0.1"):
        self.directory = directory
        self.server = _HttpServer((address, 0),
                                  functools.partial(_Handler, directory=directory))
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, name, data):
        path = os.path.join(self.directory, name)
        with open(path + ".new", "wb") as f:
            f.write(data)
        os.rename(path + ".new", path)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
