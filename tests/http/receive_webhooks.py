#!/usr/bin/env python3
"""A receiver of webhooks over TLS, with a signature check of its own (Standard Webhooks 1.0): `receive_webhooks.py CERTIFICATE
KEY SECRET DIRECTORY` serves until it is killed. The port goes to DIRECTORY/port; each delivery that verifies is a line of
DIRECTORY/good, any other of DIRECTORY/bad."""
import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import ssl
import sys
import time

certificate, key, secret_file, directory = sys.argv[1:]
secret = base64.b64decode(pathlib.Path(secret_file).read_text().strip().removeprefix("whsec_"))


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        is_good = (hmac.compare_digest(wanted, self.headers["webhook-signature"]) and
                   abs(time.time() - int(self.headers["webhook-timestamp"])) < 300)
        with open(f"{directory}/{'good' if is_good else 'bad'}", "a", encoding="utf-8") as file:
            file.write(f"{self.headers['webhook-id']} {json.loads(body)['state']}\n")
        self.send_response(204 if is_good else 400)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
pathlib.Path(directory, "port").write_text(f"{server.server_port}\n")
server.serve_forever()
