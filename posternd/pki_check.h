/*
 * Are the certificates of a configuration any good, and do their keys belong
 * to them?
 *
 * A process of its own looks, made for this and gone behind it: it reads the
 * keys, and the parent, which lives long and has children, never does.
 */
#ifndef POSTERN_POSTERND_PKI_CHECK_H
#define POSTERN_POSTERND_PKI_CHECK_H

#include <stdbool.h>

#include "lib/rules/config.h"

/* Something is wrong with this certificate of p, or with its key; text names
 * the file. */
typedef void pki_complain_fn(
    void *ctx, const struct pki *p, bool is_warning, const char *text);

/* Opens the key files (cert.key_fd, which config_unref closes), and has every
 * chain looked at: is it PEM, in order, strong enough, in its time, and with
 * the key it comes with? The certificates of listeners' client_ca have to be
 * PEM. Chains are there, and key_path. Waits for the process. 0, or -1 when
 * there was any error; warnings alone are 0. */
int pki_check(struct config *c, pki_complain_fn *complain, void *ctx);

#endif
