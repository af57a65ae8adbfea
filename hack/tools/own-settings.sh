#!/bin/sh
# own-settings.sh COMMAND...: runs what is tested without the settings of the compiler's
# garbage collector. See go test -exec.
unset GOGC
exec "$@"
