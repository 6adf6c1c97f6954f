#include "server/commands/command.h"
int command_serve(int a,char**b){(void)a;(void)b;return 2;}
int command_worker(int a,char**b){(void)a;(void)b;return 2;}
int command_health(int a,char**b){(void)a;(void)b;return 2;}
