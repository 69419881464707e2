/*
 * The parent's state: one object, made in main.c and handed to every file of
 * this folder.
 */
#ifndef POSTERN_POSTERND_GATEWAY_H
#define POSTERN_POSTERND_GATEWAY_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/ipc/channel.h"
#include "lib/net/sources.h"
#include "lib/proc/sandbox.h"
#include "lib/rules/config.h"
#include "posternd/load.h"
#include "posternd/role.h"
#include "posternd/tickets.h"

enum process_state {
	PROCESS_DOWN,     /* not started yet, or waiting for its restart */
	PROCESS_STARTING, /* runs, is being handed things, is not ready */
	PROCESS_READY
};

/* One child: a role and an instance; it lives on in the next process when
 * its present one dies. */
struct process {
	struct gateway *gw;
	const struct role_def *def;
	uint16_t instance;
	uid_t uid; /* as whom it runs; only as root */
	gid_t gid;
	uint64_t nofile, memory; /* limits of its jail, also of the next */
	enum process_state state;
	pid_t pid;            /* 0: none */
	bool reaped;          /* it was waited for: pid is not ours any more */
	int status;           /* of waitpid, when reaped */
	struct channel *ch;   /* all_parent; NULL: none */
	struct channel *asks; /* control's questions to us; else NULL */
	uint64_t started_ms;  /* monotonic */
	uint32_t restarts;
	uint32_t quick_deaths; /* in a row */
	bool conf_told;        /* a configuration that it has not taken yet */
	bool conf_stale;       /* and gw->conf is a newer one by now */
	struct timer *timer;   /* until the restart, or until it is killed */
	char *sandbox;         /* what holds, in its own words; NULL: unknown */
	char *failure;         /* its last words; NULL: none */
};

/* A `listen` line: a socket for each smtpd worker, or one for all. */
struct listen_socket {
	int *fds; /* owned, nfds */
	size_t nfds;
	char *path; /* of a Unix socket, ours to remove; NULL */
};

struct gateway {
	struct loop *loop;
	struct load_options load; /* where conf came from */
	struct config *conf;
	bool reloading;   /* conf is new, and somebody has not taken it yet */
	bool rest_is_due; /* those who ask others have not been told yet */
	STAILQ_HEAD(, reload_wait) reload_waits;
	bool as_root;    /* roles get their own users and chroot */
	bool foreground; /* -d */
	uint64_t started_ms;
	/* --- the log, as the children get it --- */
	int log_fd;
	enum log_sink log_sink;
	enum log_level log_level;
	/* --- what is handed to children at every start --- */
	struct listen_socket *listens; /* by listener's id */
	size_t nlistens;
	struct listen_socket control;
	uint32_t control_gid, view_gid; /* UINT32_MAX: none */
	int empty_root; /* a directory that nothing can be made in */
	int tree;       /* "/" */
	uint32_t dial_gids[JAIL_GROUPS_MAX]; /* of `dial-group' */
	size_t ndial_gids;
	int spool;
	int authorities; /* certificates, for reading; -1: none */
	int policies;    /* the folder of MTA-STS policies */
	int *bases;      /* by action's id; -1: not a maildir */
	int sources_fd;
	struct sources *sources;
	struct tickets tickets;
	/* --- the children --- */
	struct process *processes;
	size_t nprocesses;
	LIST_HEAD(, link) links; /* channels between them, see links.c */
	unsigned int wave;       /* of starting, and of stopping */
	bool ready;              /* all were ready once */
	bool stopping;
	uint32_t stop_grace_ms;
	struct timer *stop_timer;
	/* All are ready (once). */
	void (*on_ready)(struct gateway *gw);
	char *failure; /* why the start failed; the loop ends */
	uint64_t deaths;
};

#endif
