/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Child processes of a test. Included by ivring_test.h.
 */
#ifndef CHILD_H
#define CHILD_H

/* Call fork(). The child is killed when its parent ends. */
static inline pid_t child_fork(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/* Call child_fork(). The child makes other random choices than its parent. */
static inline pid_t child_fork_reseeded(void)
{
	pid_t pid = child_fork();

	if (!pid)
		rng ^= 0x5555555555555555;
	return pid;
}

/*
 * Return the exit status of a child, or -signal. A child that does not end within 60
 * seconds, or within ten times that on a debug kernel, is killed.
 */
static inline int child_wait(pid_t pid)
{
	__u64 end = in_ms(60000 * slowness);
	int status;
	pid_t ret;

	while (!(ret = waitpid(pid, &status, WNOHANG)) && now() < end)
		usleep(200);
	if (!ret) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -ETIMEDOUT;
	}
	if (ret != pid)
		return -ECHILD;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * Return the number of a child in /proc. The test programs run in their own PID namespace
 * but use the /proc of another, in which a child has another number.
 */
static inline pid_t child_in_proc(pid_t pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	char path[40], line[64];
	pid_t number = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "r");
	while (f && !number && fgets(line, sizeof(line), f))
		sscanf(line, "Pid: %d", &number);
	if (f)
		fclose(f);
	close(pidfd);
	return number;
}

/* Return the state of a child as ps shows it, or 0. */
static inline char child_state(pid_t pid)
{
	char path[32], line[256], *state = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", child_in_proc(pid));
	f = fopen(path, "r");
	if (!f)
		return 0;
	/* The state follows the name, which is in parentheses. */
	if (fgets(line, sizeof(line), f))
		state = strrchr(line, ')');
	fclose(f);
	return state ? state[2] : 0;
}

/* Wait until a child sleeps in the kernel; false if it does not. */
static inline bool child_sleeps(pid_t pid)
{
	return SOON(child_state(pid) == 'S');
}

/*
 * Let 8 processes call @one at the same moment. They live until all of them have called it.
 * Return how many calls returned 0, or -1 if one returned anything else than 0 or @error.
 */
static inline int race(int (*one)(int fd), int fd, int error)
{
	int start[2], result[2], end[2], ret, won = 0, i;
	pid_t pid[8];
	char c;

	if (pipe(start) || pipe(result) || pipe(end))
		return -1;
	for (i = 0; i < 8; i++) {
		pid[i] = child_fork();
		if (!pid[i]) {
			close(start[1]);
			close(end[1]);
			(void)!read(start[0], &c, 1);
			ret = one(fd);
			(void)!write(result[1], &ret, sizeof(ret));
			(void)!read(end[0], &c, 1);
			_exit(0);
		}
	}
	close(start[0]);
	close(start[1]);
	for (i = 0; i < 8; i++) {
		if (read(result[0], &ret, sizeof(ret)) != sizeof(ret) ||
		    (ret && ret != error))
			won = -100;
		won += !ret;
	}
	close(end[0]);
	close(end[1]);
	close(result[0]);
	close(result[1]);
	for (i = 0; i < 8; i++)
		child_wait(pid[i]);
	return won < 0 ? -1 : won;
}

#endif /* CHILD_H */
