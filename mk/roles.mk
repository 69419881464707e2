# Which folder makes which program, with which libraries. A role is linked
# from its own objects, edges.a and lib.a only: a call into another role's
# folder is an undefined symbol. This file is the architecture.

# program : folder : libraries
ROLES := smtpd resolver queue delivery maildir control
PROGRAMS := posternd posternctl

DIR_smtpd := smtpd
DIR_resolver := resolver
DIR_queue := queue
DIR_delivery := delivery
DIR_maildir := delivery/maildir
DIR_control := control
DIR_posternd := posternd
DIR_posternctl := posternctl

LIBS_queue := -pthread
LIBS_resolver := -lcares

# Under every program: the loop, the filter, the BSD tables.
LIBS_COMMON := -levent_core -lseccomp -lbsd

LIB_SRC := $(wildcard lib/*/*.c)
EDGE_SRC := $(wildcard edges/*.c)
