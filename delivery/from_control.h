/* What control may ask of us: our numbers. */
#ifndef POSTERN_DELIVERY_FROM_CONTROL_H
#define POSTERN_DELIVERY_FROM_CONTROL_H

#include "lib/base/loop.h"

/* A socket to control; the one before is dead. */
void from_control_open(struct loop *l, int socket);

#endif
