# Which folder makes which program, with which libraries. A role is linked
# from its own objects, edges.a and lib.a only: a call into another role's
# folder is an undefined symbol. This file is the architecture.

# program : folder : libraries
ROLES := smtpd dialer resolver queue delivery maildir mda control vault fetch web
PROGRAMS := posternd posternctl postern-sendmail

DIR_smtpd := smtpd
DIR_dialer := milters/dialer
DIR_resolver := resolver
DIR_queue := queue
DIR_delivery := delivery
DIR_maildir := delivery/maildir
DIR_mda := delivery/mda
DIR_control := control
DIR_vault := vault
DIR_fetch := fetch
DIR_web := web
DIR_posternd := posternd
DIR_posternctl := posternctl
DIR_postern-sendmail := sendmail

# Linked into smtpd: the MTA side of the milter protocol. Into the agents that
# deliver here: the queue's work, and the mail as they write it. Into the
# programs that hand a mail in: the submit socket's client.
PARTS := client agents submit
DIR_client := milters/client
DIR_agents := delivery/agents
DIR_submit := submit
PARTS_smtpd := client
PARTS_maildir := agents
PARTS_mda := agents
PARTS_posternctl := submit
PARTS_sendmail := submit

# The filters that ship: on libmilter, no process of the gateway.
# With what they share; of the library they use what they need.
FILTERS := milter-rules
DIR_milter-rules := milters/rules
DIR_filters := milters/common
LIBS_rules := -lmilter -pthread

LIBS_queue := -pthread -lz -lidn2
LIBS_delivery := -lssl -lcrypto
LIBS_resolver := -lcares
LIBS_fetch := -lcurl
LIBS_web := -levent_extra
LIBS_smtpd := -lssl -lcrypto -lidn2
LIBS_lib := -lssl -lcrypto -lidn2
LIBS_vault := -lcrypto -lcrypt
LIBS_posternd := -lssl -lcrypto -lidn2

# Under every program: the loop, the filter, the BSD tables.
LIBS_COMMON := -levent_core -lseccomp -lbsd

LIB_SRC := $(wildcard lib/*/*.c)
EDGE_SRC := $(wildcard edges/*.c)
