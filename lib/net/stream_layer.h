/*
 * What stands between a stream and its socket, when something does: TLS. As a
 * table, so that programs without TLS are not linked with it. Only for
 * stream.c and stream_tls.c.
 */
#ifndef POSTERN_NET_STREAM_LAYER_H
#define POSTERN_NET_STREAM_LAYER_H

#include "lib/net/stream.h"
#include "lib/net/tls.h"

/* As the functions of lib/net/tls.h. */
struct stream_layer {
	void (*attach)(
	    struct tls *t, int fd, void (*on_job)(void *ctx), void *ctx);
	enum tls_want (*handshake)(struct tls *t);
	enum tls_want (*read)(struct tls *t, void *p, size_t size, size_t *n);
	enum tls_want (*write)(
	    struct tls *t, const void *p, size_t len, size_t *n);
	void (*shutdown)(struct tls *t);
	const char *(*error)(const struct tls *t);
	void (*free)(struct tls **t);
};

void stream_start_layer(
    struct stream *s, const struct stream_layer *layer, struct tls *t);

#endif
