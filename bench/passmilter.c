/*
 * A filter that passes everything, on libmilter, for the comparison.
 *
 * passmilter SOCKET [MS]
 *
 * It sees all of a mail and changes nothing; at the end of the headers it
 * waits for MS milliseconds.
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static struct timespec rest;

static sfsistat
pass_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *addr)
{
	(void)ctx, (void)name, (void)addr;
	return SMFIS_CONTINUE;
}

static sfsistat
pass_word(SMFICTX *ctx, char *word)
{
	(void)ctx, (void)word;
	return SMFIS_CONTINUE;
}

static sfsistat
pass_path(SMFICTX *ctx, char **args)
{
	(void)ctx, (void)args;
	return SMFIS_CONTINUE;
}

static sfsistat
pass_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx, (void)name, (void)value;
	return SMFIS_CONTINUE;
}

static sfsistat
pass_eoh(SMFICTX *ctx)
{
	(void)ctx;
	if (rest.tv_sec != 0 || rest.tv_nsec != 0)
		nanosleep(&rest, NULL);
	return SMFIS_CONTINUE;
}

static sfsistat
pass_body(SMFICTX *ctx, unsigned char *bytes, size_t n)
{
	(void)ctx, (void)bytes, (void)n;
	return SMFIS_CONTINUE;
}

static sfsistat
pass(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

int
main(int argc, char *argv[])
{
	struct smfiDesc filter = {
		.xxfi_name = "passmilter",
		.xxfi_version = SMFI_VERSION,
		.xxfi_connect = pass_connect,
		.xxfi_helo = pass_word,
		.xxfi_envfrom = pass_path,
		.xxfi_envrcpt = pass_path,
		.xxfi_header = pass_header,
		.xxfi_eoh = pass_eoh,
		.xxfi_body = pass_body,
		.xxfi_eom = pass,
	};
	long ms;

	if (argc < 2) {
		fprintf(stderr, "usage: passmilter socket [ms]\n");
		return 2;
	}
	ms = argc > 2 ? atol(argv[2]) : 0;
	rest.tv_sec = ms / 1000;
	rest.tv_nsec = ms % 1000 * 1000000;
	umask(0);
	if (smfi_register(filter) != MI_SUCCESS ||
	    smfi_setconn(argv[1]) != MI_SUCCESS ||
	    smfi_setbacklog(1024) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
