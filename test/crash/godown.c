/*
 * Cuts the power of a mounted file system: what its journal has not got on the disk is gone.
 * ext4 and xfs know this call (FS_IOC_SHUTDOWN); 2 says that the journal is not written out first.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int count, char **arguments) {
  if (count != 2) return 2;
  uint32_t without_flush = 2;
  int directory = open(arguments[1], O_RDONLY);
  if (directory < 0 || ioctl(directory, _IOR('X', 125, uint32_t), &without_flush) != 0) {
    perror(arguments[1]);
    return 1;
  }
  return 0;
}
