/* `diffaid worker`: a process that the service starts and speaks to over descriptor 3. Not for people. */
#include <stdio.h>

#include "server/commands/command.h"
#include "server/jobs/channel.h"
#include "server/jobs/engine.h"
#include "server/jobs/worker.h"
#include "server/sigbus.h"

int command_worker(int argc, char **argv)
{
    struct error err = {0};

    (void)argc;
    (void)argv;
    sigbus_guard();
    worker_serve(CHANNEL_FD, &comparison_engine, &err);
    fprintf(stderr, "diffaid: %s\n", err.text);
    return EXIT_INPUT;
}
