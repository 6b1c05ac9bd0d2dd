"""The scratch folder: counted while a program runs, emptied after it, however hostile its content."""

import os

import limits


def empty(folder: str) -> None:
    """Removes all that a hostile program left in `folder`, however deep, whatever its permissions."""
    while entries := list(os.scandir(folder)):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            # Lifting the children up instead of walking down: a path or a recursion can be too long, this cannot.
            for index, child in enumerate(list(os.scandir(entry.path))):
                if child.is_dir(follow_symlinks=False):
                    os.chmod(child.path, 0o700)
                    os.rename(child.path, os.path.join(folder, f"{entry.inode()}-{index}"))
                else:
                    os.unlink(child.path)
            os.rmdir(entry.path)


def too_full(folder: str, settings: limits.Limits) -> bool:
    """Whether the scratch folder holds more files or bytes than allowed."""
    files, used, waiting = 0, 0, [folder]
    try:
        while waiting:
            for entry in os.scandir(waiting.pop()):
                files, used = files + 1, used + entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                if files > settings.scratch_files or used > settings.scratch_mb * limits.MB:
                    return True
    except FileNotFoundError:  # the program is deleting while we count: the next tick sees the rest
        return False
    except OSError:  # a path too long or a folder closed to us is not what scratch is for
        return True
    return False
