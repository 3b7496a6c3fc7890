"""Interrupts at chosen bytecodes."""

import sys


class InterruptAt:
    """Raises KeyboardInterrupt before the n-th bytecode that this thread runs in one of the files; n counts from 0.

    `reached` says whether there were so many bytecodes.
    """

    def __init__(self, n, files):
        self.n, self.files, self.reached = n, files, False

    def __enter__(self):
        self.before = sys.gettrace()
        # Python 3.12 reports opcodes only if some frame has asked for them before `settrace` is called.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._begin)
        return self

    def __exit__(self, *_):
        sys.settrace(self.before)

    def _begin(self, frame, event, arg):
        if frame.f_code.co_filename not in self.files:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame, event, arg):
        if event == "opcode" and not self.reached:
            self.reached = self.n == 0
            self.n -= 1
            if self.reached:
                raise KeyboardInterrupt
        return self._step


def at_every_bytecode(files, call):
    """Run call() again and again, each time with an interrupt one bytecode later. Yields after each interrupt."""
    n = 0
    while True:
        interrupt = InterruptAt(n, files)
        try:
            with interrupt:
                call()
        except KeyboardInterrupt:
            pass
        if not interrupt.reached:
            return
        yield n
        n += 1
