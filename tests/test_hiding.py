"""Text without secrets of the environment."""

import pytest

from htsweep.hiding import hidden

ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "AWS_SESSION_TOKEN": "wJalrXUtnFEMI/K7MDENG/longer",
    "HF_TOKEN": "hf_abcdefgh",
    "WANDB_API_KEY": "0123456789abcdef",
    "DATABASE_URL": "postgresql://user:p%40ssw0rd-x@host/db",
    "PGPASSWORD": "correct horse",
    "AZURE_STORAGE_KEY": "a2V5a2V5a2V5",
    "RAY_AUTH_MODE": "token-token",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/hostname",
    "SHORT_TOKEN": "1234",
    "PWD": "/home/someone",
    "HOME": "/home/someone",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key wJalrXUtnFEMI/K7MDENG.", "key [AWS_SECRET_ACCESS_KEY]."),
        ("wJalrXUtnFEMI/K7MDENG/longer", "[AWS_SESSION_TOKEN]"),
        ("{'HF_TOKEN': 'hf_abcdefgh'}", "{'HF_TOKEN': '[HF_TOKEN]'}"),
        ("0123456789abcdef", "[WANDB_API_KEY]"),
        ("p@ssw0rd-x p%40ssw0rd-x", "[DATABASE_URL] [DATABASE_URL]"),
        ("correct horse a2V5a2V5a2V5", "[PGPASSWORD] [AZURE_STORAGE_KEY]"),
        ("s3://KEY:another-secret@bucket/x", "s3://KEY:[password]@bucket/x"),
        ("http://127.0.0.1:5000/a@b", "http://127.0.0.1:5000/a@b"),
        ("token-token /etc/hostname 1234", "token-token /etc/hostname 1234"),
        ("/home/someone/results", "/home/someone/results"),
    ],
)
def test_values_of_secrets_are_replaced_by_their_names(text: str, shown: str) -> None:
    assert hidden(text, ENVIRONMENT) == shown
    assert hidden(text, {}) == (shown if "[password]" in shown else text)
