#include "milters/common/options.h"

#include <stdio.h>
#include <unistd.h>

static void
usage(const struct filter *f, FILE *to)
{
	(void)fprintf(to,
	    "usage: %s [-f] [-c file] [-u user] -p socket\n"
	    "       %s -n [-c file]\n"
	    "       %s -h\n",
	    f->name, f->name, f->name);
}

enum options_result
options_parse(
    const struct filter *f, int argc, char **argv, struct options *out)
{
	int c;

	*out = (struct options){ .file = f->file };
	optind = 1;
	while ((c = getopt(argc, argv, "c:fhnp:u:")) != -1) {
		switch (c) {
		case 'c':
			out->file = optarg;
			break;
		case 'f':
			out->foreground = true;
			break;
		case 'h':
			usage(f, stdout);
			return OPTIONS_DONE;
		case 'n':
			out->check = true;
			break;
		case 'p':
			out->socket = optarg;
			break;
		case 'u':
			out->user = optarg;
			break;
		default:
			usage(f, stderr);
			return OPTIONS_WRONG;
		}
	}
	if (optind < argc || (out->socket == NULL && !out->check)) {
		usage(f, stderr);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}
