/* Users and groups by name; asked of the system before anything runs. */
#ifndef POSTERN_POSTERND_ACCOUNT_H
#define POSTERN_POSTERND_ACCOUNT_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* what: of whom, for the complaint ("smtpd"). 0, or -1 after a complaint. A
 * user with the rights of root is refused. */
int account_user(const char *name, const char *what, uid_t *uid, gid_t *gid);
/* UINT32_MAX without a name, and after a complaint. */
uint32_t account_group(const char *name, const char *what);
/* The groups of these names, separated by blanks (NULL: none), at most max,
 * into gids; how many. One that is not there, or root's, gets a complaint. */
size_t account_groups(
    const char *names, const char *what, uint32_t *gids, size_t max);
/* May that user, with that group alone, make files in this directory? */
int account_may_write(const struct stat *dir, uid_t uid, gid_t gid);

#endif
