"""TLS for calls to providers: certificates are always verified, HTTP/1.1 is asked for."""

import ssl


def verified_context() -> ssl.SSLContext:
    """A context with the system's trust (or SSL_CERT_FILE / SSL_CERT_DIR, as Python reads them)."""
    return checked_context(ssl.create_default_context())


def checked_context(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, asking for HTTP/1.1. Raises ValueError if it would accept any certificate."""
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ValueError("this TLS context does not verify the server; providers are only called verified")
    context.set_alpn_protocols(["http/1.1"])
    return context
