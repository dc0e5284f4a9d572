"""A server that speaks S3, for tests of results in a bucket."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import pyarrow.fs as fs

KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEYID0001",
    "AWS_SECRET_ACCESS_KEY": "planted/secret/of/the/bucket",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""What the server takes; the tests look for them where they must not be."""


@dataclass(frozen=True)
class Bucket:
    """A bucket of a running server."""

    address: str
    """`127.0.0.1:PORT`."""
    name: str

    def uri(self, folder: str, address: str = "") -> str:
        """The URI of a folder in the bucket, through `address`."""
        return (
            f"s3://{self.name}/{folder}"
            f"?endpoint_override={address or self.address}&scheme=http&region=us-east-1"
        )


@contextlib.contextmanager
def bucket(name: str = "bucket") -> Iterator[Bucket]:
    """An empty bucket of moto's server in this process, whose keys are in the environment."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with mock.patch.dict(os.environ, KEYS):
            made = Bucket("127.0.0.1:{1}".format(*server.get_host_and_port()), name)
            files, _ = fs.FileSystem.from_uri(made.uri("") + "&allow_bucket_creation=true")
            files.create_dir(name)
            # All of moto's servers in a process hold the same objects.
            files.delete_dir_contents(name)
            yield made
    finally:
        server.stop()
