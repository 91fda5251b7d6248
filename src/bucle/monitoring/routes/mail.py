"""E-mail by SMTP: one message for each change; those of an alert hang together as a thread."""

import smtplib
import socket
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from bucle.monitoring.routes.addresses import NetworkPolicy, connect, untrusted
from bucle.monitoring.routes.deadline import CONNECT_SECONDS, deadline
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.notices import Notice, one_line
from bucle.project import Mail

_LONGEST_SUBJECT = 200


def send(mail: Mail, secrets: Mapping[str, str], notice: Notice, page: str, policy: NetworkPolicy) -> str:
    """Hand the message over to the mail server and return what became of it."""
    server = _Smtp(mail, policy)
    try:
        with deadline(lambda: server.sock):
            server.connect(mail.host, mail.port)
            if mail.security == "starttls":
                server.starttls(context=policy.tls())
            if "user" in secrets:
                server.login(secrets["user"], secrets["password"])
            refused = server.send_message(message(mail, notice, page))
            server.quit()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise SendFailed(f"{mail.host} refused every recipient (SMTP {codes[0]})", lasting=min(codes) >= 500) from None
    except smtplib.SMTPResponseException as error:
        raise SendFailed(f"{mail.host} refused it (SMTP {error.smtp_code})", lasting=error.smtp_code >= 500) from None
    except smtplib.SMTPNotSupportedError:
        raise SendFailed(f"{mail.host} offers no TLS or no login", lasting=True) from None
    except ssl.SSLCertVerificationError as error:
        raise untrusted(mail.host, error) from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise SendFailed(f"{mail.host} did not answer: {type(error).__name__}") from None
    finally:
        server.close()
    return f"handed over, but not for {', '.join(refused)}" if refused else "handed over"


def message(mail: Mail, notice: Notice, page: str) -> EmailMessage:
    """Return the message. Its id is that of the delivery: a mail server that gets it twice can tell."""
    made = EmailMessage()
    made["From"], made["To"] = mail.sender, ", ".join(mail.to)
    made["Subject"] = notice.title[:_LONGEST_SUBJECT]
    made["Date"] = format_datetime(notice.at)
    made["Message-ID"] = f"<{notice.delivery}@bucle>"
    made["References"] = f"<{notice.alert}@bucle>"
    made["Auto-Submitted"] = "auto-generated"
    lines = [one_line(notice.sentence), notice.follow_up, page]
    made.set_content("\n\n".join(line for line in lines if line) + "\n")
    return made


class _Smtp(smtplib.SMTP):
    """A session with a mail server at a checked address."""

    def __init__(self, mail: Mail, policy: NetworkPolicy) -> None:
        super().__init__(timeout=CONNECT_SECONDS, local_hostname=socket.gethostname())
        self._mail, self._policy = mail, policy
        self._host = mail.host
        self.sock: Any = None

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self.sock = connect(host, port, self._policy, timeout)
        if self._mail.security == "tls":
            self.sock = self._policy.tls().wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
            self.sock.do_handshake()
        connection: socket.socket = self.sock
        return connection
