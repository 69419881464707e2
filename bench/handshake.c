/*
 * TLS handshakes, as many as go, for bench/run.
 *
 * handshake serve plain|local|vault ADDRESS PORT CHAIN KEY
 *   A server that greets and says no more. plain: OpenSSL with the key in the
 *   process, as any other server does it. local: the gateway's stream and TLS,
 *   the private operation done in the process, too. vault: the same with the
 *   vault's code in a process of its own, over its channel.
 * handshake load ADDRESS PORT COUNT AT_ONCE
 *   COUNT handshakes up to the greeting, so many at once; prints how many a
 *   second there were.
 * handshake hold plain|starttls ADDRESS PORT COUNT
 *   COUNT sessions that have said EHLO (the last word of each), and are silent
 *   until standard input ends; prints "ready" when they stand.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "lib/net/stream.h"
#include "lib/net/tls.h"
#include "smtpd/from_vault.h"
#include "vault/from_smtpd.h"
#include "vault/keys.h"
#include "vault/signing.h"

#define GREETING "220 bench ready\r\n"

enum { TICKET_KEY = 80, CHAIN_MAX = 65536, AT_ONCE_MAX = 1024 };

static struct loop *loop;

static struct sockaddr_in
address(const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)) };
	if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
		errx(1, "%s is no address", host);
	return a;
}

static int
listen_at(const char *host, const char *port)
{
	struct sockaddr_in a = address(host, port);
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) == -1 ||
	    listen(fd, 1024) == -1)
		err(1, "%s port %s", host, port);
	return fd;
}

/* --- the gateway's own TLS --- */

static struct tls_server *server;

struct greeted {
	struct stream *stream;
	struct deferred release;
};

static void
greeted_free(void *ctx)
{
	free(ctx);
}

static void
greeted_close(struct greeted *g)
{
	if (g->stream == NULL)
		return;
	stream_close(&g->stream);
	deferred_init(&g->release, greeted_free, g);
	loop_after(loop, &g->release);
}

static size_t
on_data(void *ctx, struct str in)
{
	(void)ctx;
	return in.len;
}

static void
on_end(void *ctx, int error)
{
	(void)error;
	greeted_close(ctx);
}

static void
on_timeout(void *ctx)
{
	greeted_close(ctx);
}

static void
on_secure(void *ctx, const struct fault *why)
{
	struct greeted *g = ctx;
	if (why != NULL) {
		warnx("%s", why->text);
		greeted_close(g);
	} else {
		stream_write(g->stream, GREETING, sizeof(GREETING) - 1);
	}
}

static const struct stream_ops ops = { .on_data = on_data,
	.on_timeout = on_timeout,
	.on_end = on_end,
	.on_secure = on_secure };

static void
on_accept(void *ctx, int what)
{
	int fd;
	(void)what;
	while ((fd = accept4(*(int *)ctx, NULL, NULL, SOCK_NONBLOCK)) != -1) {
		struct greeted *g = xcalloc(1, sizeof(*g));
		g->stream = stream_new(loop, fd, false, &ops, g);
		stream_start_tls(g->stream, tls_accept(server));
	}
}

/* --- who signs --- */

struct signature {
	struct tls_job *job;
	struct deferred done;
	size_t len;
	uint8_t out[VAULT_SIGN_MAX];
};

static void
tell_job(void *ctx)
{
	struct signature *s = ctx;
	struct tls_job *job = s->job;
	struct str out = { (const char *)s->out, s->len };
	if (job != NULL)
		tls_job_done(job, out);
	free(s);
}

static int
sign_here(struct tls_job *job, const uint8_t key[static TLS_KEY_ID],
    enum tls_scheme scheme, struct str input, uint64_t *cancel_id)
{
	struct signature *s = xcalloc(1, sizeof(*s));
	s->job = job;
	s->len = signing_make((struct str){ (const char *)key, TLS_KEY_ID },
	    scheme == TLS_RSA_RAW ? VAULT_RSA_RAW : VAULT_ECDSA, input, s->out);
	*cancel_id = (uint64_t)(uintptr_t)s;
	deferred_init(&s->done, tell_job, s);
	loop_after(loop, &s->done);
	return 0;
}

static void
cancel_here(uint64_t id)
{
	((struct signature *)(uintptr_t)id)->job = NULL;
}

static void
take_key(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		err(1, "%s", path);
	keys_init();
	signing_warm_up();
	keys_bring(str_of(path), fd);
	keys_change();
}

static void
start_vault(const char *key)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == -1)
		err(1, "socketpair");
	switch (fork()) {
	case -1:
		err(1, "fork");
	case 0:
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		loop = loop_new();
		take_key(key);
		from_smtpd_init(loop, VAULT_KEYS);
		from_smtpd_add(0, ends[1]);
		loop_run(loop);
		exit(0);
	default:
		close(ends[1]);
		loop = loop_new();
		from_vault_start(loop, VAULT_KEYS, ends[0]);
	}
}

static void
load_chain(const char *path)
{
	static char pem[CHAIN_MAX];
	const char *chains[1] = { pem };
	struct tls_identity identity = { chains, 1 };
	struct tls_server_conf conf = { .identities = &identity,
		.nidentities = 1 };
	struct fault why;
	FILE *f = fopen(path, "r");
	if (f == NULL)
		err(1, "%s", path);
	pem[fread(pem, 1, sizeof(pem) - 1, f)] = '\0';
	fclose(f);
	server = tls_server_new(&conf, &why);
	if (server == NULL)
		errx(1, "%s: %s", path, why.text);
}

static void
serve_ours(bool vault, char **argv)
{
	uint8_t tickets[TICKET_KEY];
	int fd = listen_at(argv[0], argv[1]);
	tls_prepare();
	if (vault) {
		start_vault(argv[3]);
	} else {
		loop = loop_new();
		take_key(argv[3]);
		tls_set_signer(sign_here, cancel_here);
	}
	if (RAND_bytes(tickets, sizeof(tickets)) != 1)
		errx(1, "no random bytes");
	tls_set_tickets((struct str){ (const char *)tickets, sizeof(tickets) });
	load_chain(argv[2]);
	loop_fd_want(loop_fd_new(loop, fd, on_accept, &fd), LOOP_READ);
	puts("ready");
	fflush(stdout);
	loop_run(loop);
}

/* --- OpenSSL alone --- */

static SSL_CTX *plain;

struct simple {
	SSL *ssl;
	struct loop_fd *watch;
	int fd;
};

static void
simple_close(struct simple *c)
{
	loop_fd_free(&c->watch);
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
}

static void
on_simple(void *ctx, int what)
{
	struct simple *c = ctx;
	char room[4096];
	int n, e;
	(void)what;
	if (!SSL_is_init_finished(c->ssl)) {
		n = SSL_accept(c->ssl);
		if (n == 1)
			n = SSL_write(c->ssl, GREETING, sizeof(GREETING) - 1);
	} else {
		n = SSL_read(c->ssl, room, sizeof(room));
	}
	if (n > 0)
		return;
	e = SSL_get_error(c->ssl, n);
	if (e == SSL_ERROR_WANT_READ)
		loop_fd_want(c->watch, LOOP_READ);
	else
		simple_close(c);
}

static void
on_simple_accept(void *ctx, int what)
{
	int fd;
	(void)what;
	while ((fd = accept4(*(int *)ctx, NULL, NULL, SOCK_NONBLOCK)) != -1) {
		struct simple *c = xcalloc(1, sizeof(*c));
		c->fd = fd;
		c->ssl = SSL_new(plain);
		SSL_set_fd(c->ssl, fd);
		c->watch = loop_fd_new(loop, fd, on_simple, c);
		loop_fd_want(c->watch, LOOP_READ);
	}
}

static void
serve_plain(char **argv)
{
	int fd = listen_at(argv[0], argv[1]);
	loop = loop_new();
	plain = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_min_proto_version(plain, TLS1_2_VERSION);
	SSL_CTX_set_session_cache_mode(plain, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(plain, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_CTX_use_certificate_chain_file(plain, argv[2]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(plain, argv[3], SSL_FILETYPE_PEM) != 1)
		errx(1, "%s: cannot be used", argv[2]);
	loop_fd_want(loop_fd_new(loop, fd, on_simple_accept, &fd), LOOP_READ);
	puts("ready");
	fflush(stdout);
	loop_run(loop);
}

/* --- the clients --- */

struct caller {
	SSL *ssl;
	bool connected, secured;
};

static struct caller callers[AT_ONCE_MAX];
static struct pollfd fds[AT_ONCE_MAX];
static struct sockaddr_in target;
static SSL_CTX *client;
static long done, begun, count;

static void
call(size_t i)
{
	int fd;
	fds[i] = (struct pollfd){ .fd = -1 };
	if (begun == count)
		return;
	begun++;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd == -1 ||
	    (connect(fd, (struct sockaddr *)&target, sizeof(target)) == -1 &&
		errno != EINPROGRESS))
		err(1, "connect");
	callers[i] = (struct caller){ .ssl = SSL_new(client) };
	SSL_set_fd(callers[i].ssl, fd);
	fds[i] = (struct pollfd){ .fd = fd, .events = POLLOUT };
}

static void
hang_up(size_t i)
{
	/* A reset, so that ports do not run out. */
	struct linger now = { .l_onoff = 1 };
	setsockopt(fds[i].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	SSL_free(callers[i].ssl);
	close(fds[i].fd);
	done++;
	call(i);
}

static void
go_on(size_t i)
{
	struct caller *c = &callers[i];
	char room[4096];
	int n = 1, e;
	if (!c->secured)
		c->secured = (n = SSL_connect(c->ssl)) == 1;
	if (c->secured && (n = SSL_read(c->ssl, room, sizeof(room))) > 0) {
		if (n < 4 || memcmp(room, "220 ", 4) != 0)
			errx(1, "greeted with %.*s", n, room);
		hang_up(i);
		return;
	}
	e = SSL_get_error(c->ssl, n);
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		errx(1, "a handshake failed after %ld", done);
	fds[i].events = e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
load(char **argv)
{
	size_t at_once = (size_t)atoi(argv[3]);
	double begin = now();
	target = address(argv[0], argv[1]);
	count = atol(argv[2]);
	if (at_once < 1 || at_once > AT_ONCE_MAX || count < 1)
		errx(2, "at most %d at once", AT_ONCE_MAX);
	client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_OFF);
	for (size_t i = 0; i < at_once; i++)
		call(i);
	while (done < count) {
		if (poll(fds, at_once, 30000) < 1)
			errx(1, "%ld of %ld were done", done, count);
		for (size_t i = 0; i < at_once; i++)
			if (fds[i].fd != -1 && fds[i].revents != 0)
				go_on(i);
	}
	printf("%.1f\n", (double)count / (now() - begin));
}

/* --- sessions that are idle --- */

static int
call_and_wait(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd == -1 ||
	    connect(fd, (struct sockaddr *)&target, sizeof(target)) == -1)
		err(1, "connect");
	return fd;
}

/* Reads a whole reply; ssl NULL: in the clear. */
static void
expect(SSL *ssl, int fd, const char *code)
{
	char room[4096];
	size_t len = 0, line = 0;
	for (;;) {
		ssize_t n =
		    ssl != NULL ?
			SSL_read(ssl, room + len, (int)(sizeof(room) - len)) :
			read(fd, room + len, sizeof(room) - len);
		if (n <= 0)
			errx(1, "the connection ended");
		len += (size_t)n;
		for (char *end;
		     (end = memchr(room + line, '\n', len - line)) != NULL;
		     line = (size_t)(end - room) + 1) {
			if (strncmp(room + line, code, 3) != 0)
				errx(1, "%.*s", (int)(len - line), room + line);
			if (room[line + 3] == ' ')
				return;
		}
		if (len == sizeof(room))
			errx(1, "a reply without end");
	}
}

static void
say(SSL *ssl, int fd, const char *line)
{
	size_t len = strlen(line);
	if ((ssl != NULL ? SSL_write(ssl, line, (int)len) :
			   write(fd, line, len)) != (ssize_t)len)
		errx(1, "the connection ended");
}

/* Only the socket is kept: the other end cannot see that. */
static void
hold_one(bool starttls)
{
	int fd = call_and_wait();
	SSL *ssl = NULL;
	expect(NULL, fd, "220");
	if (starttls) {
		say(NULL, fd, "EHLO client.example\r\n");
		expect(NULL, fd, "250");
		say(NULL, fd, "STARTTLS\r\n");
		expect(NULL, fd, "220");
		ssl = SSL_new(client);
		SSL_set_fd(ssl, fd);
		if (SSL_connect(ssl) != 1)
			errx(1, "a handshake failed");
	}
	say(ssl, fd, "EHLO client.example\r\n");
	expect(ssl, fd, "250");
	SSL_free(ssl);
}

static void
hold(bool starttls, char **argv)
{
	struct rlimit most;
	char c;
	if (getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &most);
	}
	target = address(argv[0], argv[1]);
	client = SSL_CTX_new(TLS_client_method());
	for (long i = atol(argv[2]); i > 0; i--)
		hold_one(starttls);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
}

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 6 && strcmp(argv[1], "load") == 0)
		load(argv + 2);
	else if (argc == 6 && strcmp(argv[1], "hold") == 0)
		hold(strcmp(argv[2], "starttls") == 0, argv + 3);
	else if (argc == 7 && strcmp(argv[2], "plain") == 0)
		serve_plain(argv + 3);
	else if (argc == 7 && strcmp(argv[1], "serve") == 0)
		serve_ours(strcmp(argv[2], "vault") == 0, argv + 3);
	else
		errx(2, "see the top of bench/handshake.c");
	return 0;
}
