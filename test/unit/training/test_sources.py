"""What may be trained on: a file with a planted key is left out, the same file without one is kept."""

import hashlib
import unittest

from training.sources import rejection

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def noise(seed: str, n: int, alphabet: str = LETTERS) -> str:
    """Letters that look random and are the same in every run; put together here, so that no file holds a key."""
    digest = hashlib.sha512(seed.encode()).digest()
    return "".join(alphabet[digest[i % 64] % len(alphabet)] for i in range(n))


CANARIES = {
    "AWS key id": "AKIA" + noise("aws", 16, LETTERS[:26]),
    "GitHub token": "ghp_" + noise("github", 36),
    "Slack token": "xoxb-" + noise("slack", 12, "0123456789") + "-" + noise("slack2", 24),
    "private key": "-----BEGIN RSA PRIVATE " + "KEY-----",
    "Stripe key": "sk_live_" + noise("stripe", 24),
    "Google key": "AIza" + noise("google", 35),
    "random literal": noise("literal", 48),
}
FILE = """import os

from client import connect


def deploy(region: str) -> None:
    \"\"\"Connects to the region and starts the deployment that the settings name.\"\"\"
    connection = connect(region, credential="{}")
    connection.start(os.environ["DEPLOYMENT"])
    connection.close()
"""


class Secrets(unittest.TestCase):
    def test_a_file_with_a_key_is_left_out(self):
        self.assertIsNone(rejection("deploy.py", FILE.format("staging")))
        for kind, secret in CANARIES.items():
            self.assertEqual(rejection("deploy.py", FILE.format(secret)), "secret", kind)
