"""Servers that ask who you are: Apache Kafka with SASL_SSL, SCRAM and ACLs; Redis with TLS and an ACL user."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from streams.local.local_kafka import ApacheKafka
from streams.local.local_redis import EmbeddedRedis

ADMIN, ADMIN_PASSWORD = "admin", "admin-Pa55word-of-tests"
USER, PASSWORD = "marginwatch", "user-Pa55word-of-tests"


class Certificates:
    """A CA of our own, and a certificate for 127.0.0.1 that it signed; made by openssl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.certificate, self.key = folder / "ca.pem", folder / "server.pem", folder / "server.key"
        self.both = folder / "both.pem"  # Kafka's PEM keystore: key and certificate in one file
        self.other_ca = folder / "other.pem"
        ca_key = folder / "ca.key"
        for name, ca, key in (("tests", self.ca, ca_key), ("somebody else", self.other_ca, folder / "other.key")):
            _openssl(
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                key,
                "-out",
                ca,
                "-days",
                "30",
                "-subj",
                f"/CN={name}",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            )
        request, extensions = folder / "server.csr", folder / "extensions"
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", request, "-subj", "/CN=server")
        extensions.write_text("subjectAltName=IP:127.0.0.1\n")
        _openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.ca,
            "-CAkey",
            ca_key,
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            extensions,
            "-out",
            self.certificate,
        )
        self.both.write_text(self.key.read_text() + self.certificate.read_text())


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def missing() -> str | None:
    """Why there are no certificates here; None if there can be."""
    return None if shutil.which("openssl") else "there is no openssl"


def redis_missing() -> str | None:
    """Why the secured Redis can't run here; None if it can."""
    return None if redis_binary() else "there is no redis-server with TLS (Debian: redis-server)"


def redis_binary() -> str | None:
    return shutil.which("redis-server")


class SecuredKafka(ApacheKafka):
    """Clients come by SASL_SSL with SCRAM-SHA-512; without an ACL a user may do nothing."""

    def __init__(self, data_dir: Path, certificates: Certificates) -> None:
        super().__init__(data_dir)
        self._certificates = certificates

    def _format_options(self) -> list[str]:
        users = ((ADMIN, ADMIN_PASSWORD), (USER, PASSWORD))
        return [o for u, p in users for o in ("--add-scram", f"SCRAM-SHA-512=[name={u},password={p}]")]

    def _properties(self) -> str:
        plain = super()._properties()
        text = plain.replace(
            f"listeners=PLAINTEXT://127.0.0.1:{self.port}", f"listeners=SASL_SSL://127.0.0.1:{self.port}"
        )
        text = text.replace("advertised.listeners=PLAINTEXT:", "advertised.listeners=SASL_SSL:")
        text = text.replace("inter.broker.listener.name=PLAINTEXT", "inter.broker.listener.name=SASL_SSL")
        text = text.replace("map=PLAINTEXT:PLAINTEXT,", "map=SASL_SSL:SASL_SSL,")
        login = "org.apache.kafka.common.security.scram.ScramLoginModule"
        return text + "\n".join(
            (
                "sasl.enabled.mechanisms=SCRAM-SHA-512",
                "sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512",
                f'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login} required username="{ADMIN}" '
                f'password="{ADMIN_PASSWORD}";',
                "ssl.keystore.type=PEM",
                f"ssl.keystore.location={self._certificates.both}",
                "ssl.truststore.type=PEM",
                f"ssl.truststore.location={self._certificates.ca}",
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                f"super.users=User:{ADMIN};User:ANONYMOUS",
                "",
            )
        )

    def _client_options(self) -> dict[str, Any]:
        return {
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self._certificates.ca)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": ADMIN,
            "sasl_plain_password": ADMIN_PASSWORD,
        }

    def allow(self, prefix: str) -> None:
        """Give `USER` what the documentation says that it needs: topics and groups of a prefix."""
        from kafka.admin import (
            ACL,
            ACLOperation,
            ACLPermissionType,
            ACLResourcePatternType,
            KafkaAdminClient,
            ResourcePattern,
            ResourceType,
        )

        wanted = [
            (ResourceType.TOPIC, prefix, operation)
            for operation in (ACLOperation.CREATE, ACLOperation.DESCRIBE, ACLOperation.READ, ACLOperation.WRITE)
        ]
        wanted += [(ResourceType.GROUP, prefix, o) for o in (ACLOperation.DESCRIBE, ACLOperation.READ)]
        admin = KafkaAdminClient(bootstrap_servers=[self.bootstrap], **self._client_options())
        try:
            admin.create_acls(
                [
                    ACL(
                        f"User:{USER}",
                        "*",
                        operation,
                        ACLPermissionType.ALLOW,
                        ResourcePattern(kind, name, ACLResourcePatternType.PREFIXED),
                    )
                    for kind, name, operation in wanted
                ]
            )
        finally:
            admin.close()


class SecuredRedis(EmbeddedRedis):
    """TLS alone, and one user that may touch the keys of some namespaces and run no dangerous command."""

    def __init__(self, data_dir: Path, certificates: Certificates, *, keys: str) -> None:
        super().__init__(data_dir, binary=redis_binary())
        self._certificates = certificates
        self._keys = keys

    @property
    def url(self) -> str:
        return f"rediss://{USER}:{PASSWORD}@127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        binary, *plain = super()._command()
        at = plain.index("--port")
        plain[at : at + 2] = ["--port", "0", "--tls-port", str(self.port)]
        acl = self.data_dir / "users.acl"
        acl.write_text(
            f"user default off\nuser {USER} on >{PASSWORD} ~{self._keys} resetchannels +@all -@admin -@dangerous "
            "+keys +info +client|list\n"
        )
        return [
            binary,
            *plain,
            *("--tls-cert-file", str(self._certificates.certificate), "--tls-key-file", str(self._certificates.key)),
            *("--tls-ca-cert-file", str(self._certificates.ca), "--tls-auth-clients", "no", "--aclfile", str(acl)),
        ]

    def _answers(self) -> bool:
        context = ssl.create_default_context(cafile=str(self._certificates.ca))
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
            ):
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"-NOAUTH")
        except OSError:
            return False
