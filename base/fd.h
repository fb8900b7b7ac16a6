/* Blocking descriptors. */
#pragma once

#include "base/attr.h"
#include "base/bytes.h"
#include "base/error.h"

/* Write all of b, however often that takes. Returns 0, or EC_EIO with errno as write(2) left it; then some may be written. */
int fd_write_all(int fd, struct bytes b) EC_MUST_CHECK;
