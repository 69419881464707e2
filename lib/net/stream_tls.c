/* TLS as the layer of a stream. */
#include "lib/net/stream_layer.h"

static const struct stream_layer layer = {
	.attach = tls_attach,
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.shutdown = tls_shutdown,
	.error = tls_error,
	.free = tls_free,
};

void
stream_start_tls(struct stream *s, struct tls *t)
{
	stream_start_layer(s, &layer, t);
}
