/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines against the plan, or the one error line, they must give. Prints TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ipc/abi/image-about.h"
#include "vmm/config/parse.h"

#define ARGS_MAX 64
#define K        "-kernel k -nodefaults "

struct line {
    const char *args;   /* words separated by spaces; 'quotes' keep spaces */
    const char *error;  /* the line after "bulkhead: ", or NULL */
    const char *expect; /* lines of plan_dump that must be there; a line "!x" must not start one */
};

static const struct line lines[] = {
    /* the two command lines of the README */
    {"-m 512 -kernel vmlinuz -initrd initramfs.gz -append console=ttyS0 -nographic -drive "
     "file=disk.raw,format=raw,if=virtio -nic "
     "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:2222-:22",
     NULL,
     "mem=536870912\nkernel=vmlinuz\ninitrd=initramfs.gz\nappend=console=ttyS0\ndisk0.id=virtio0\n"
     "disk0.file=disk.raw\n!disk0.probe\nnet0.id=net0\nnet0.mac=52:54:00:12:34:56\n"
     "net0.hostfwd=tcp:127.0.0.1:2222-:22\nchardev0.id=serial0\nchardev0.kind=stdio\nchardev0.mux="
     "on\n"
     "chardev0.no-signal=on\nserial0=serial0\nmon0=serial0 readline\n!mon1\n!serial1"},
    {"-accel tcg -cpu max -M pc -m 1024 -smp 1 -kernel vmlinuz -initrd i.gz -append 'console=ttyS0 "
     "quiet' "
     "-display none -serial stdio -monitor none -no-reboot -nodefaults -nic none",
     NULL,
     "cpu=max\nmem=1073741824\nappend=console=ttyS0 quiet\nflags=no-reboot nodefaults "
     "\n!net0\n!mon0\n"
     "chardev0.kind=stdio\n!chardev0.mux\n!chardev0.no-signal\nserial0=serial0"},

    /* general form */
    {K "-foo", "-foo: invalid option", NULL},
    {K "--foo=1", "--foo=1: invalid option", NULL},
    {K "-m", "-m: requires an argument", NULL},
    {K "--m=1G", NULL, "mem=1073741824"},
    {K "-S=1", "-S=1: invalid option", NULL},
    {K "disk.raw", NULL, "disk0.file=disk.raw\nctl0.unit0=disk0"},
    {"-nodefaults", NULL, "rom0=-bios bios-256k.bin (bios)\n!kernel=k"},
    {"-nodefaults -bios my.bin -L /a -L /b -option-rom x.rom", NULL,
     "rom0=-bios my.bin (bios)\nrom1=-option-rom x.rom\ndir0=/a\ndir1=/b"},
    {K "-bios my.bin", "-bios: starting a kernel through firmware is not built; leave it out, or -kernel",
     NULL},
    {"-nodefaults -fw_cfg name=opt/a,string=b,,c -fw_cfg opt/d,file=e", NULL,
     "fwcfg0=opt/a b,c\nfwcfg1=opt/d e"},
    {"-nodefaults -fw_cfg name=opt/a", "-fw_cfg name=opt/a: one of file= and string= is needed", NULL},
    {"-nodefaults -debugcon stdio -global isa-debugcon.iobase=0x402", NULL, "debug0=debugcon"},
    {"-nodefaults -chardev null,id=n -device isa-debugcon,iobase=0x402,chardev=n", NULL, "debug0=n"},
    {"-nodefaults -device isa-debugcon", "-device isa-debugcon: isa-debugcon needs chardev=", NULL},
    {"-nodefaults -smbios type=1,serial=a -smbios type=11,value=x,value=y", NULL, "smbios7=a\noem0=x\noem1=y"},
    {"-nodefaults -smbios type=3,color=red",
     "-smbios type=3,color=red: type=3 has no 'color' (available: manufacturer, version, serial, asset, sku)", NULL},
    {"-nodefaults -smbios type=41",
     "-smbios type=41: type=41 is not built (available: 0, 1, 2, 3, 4, 11, 17)", NULL},
    {"-nodefaults -smbios type=0,release=x", "-smbios type=0,release=x: release is two numbers up to 255, as 1.2", NULL},
    {"-nodefaults -boot dc", NULL, "boot=dc, "},
    {"-nodefaults -boot order=c,once=d,menu=on,strict=on,splash-time=5,reboot-timeout=-1", NULL,
     "boot=c,d menu strict \nboot.times=5,-1"},
    {"-nodefaults -boot x", "-boot x: Invalid boot device 'x' (a to p)", NULL},
    {"-nodefaults -boot e", "-boot e: Invalid boot device for PC: 'e' (available: a, b, c, d, n)", NULL},
    {"-nodefaults -boot cc", "-boot cc: Boot device 'c' was given twice", NULL},
    {"-nodefaults -boot splash-time=70000", "-boot splash-time=70000: Parameter 'splash-time' must be from 0 to 65535, not '70000'", NULL},
    {"-append x", "-append: only allowed with -kernel option", NULL},
    {"-initrd x", "-initrd: only allowed with -kernel option", NULL},
    {K "-hda x -cdrom y", NULL,
     "disk0.id=ide0-hd0\ndisk1.id=ide1-cd0\ndisk1.readonly=on\nctl0.id=ide\nctl0.unit0=disk0\nctl0.unit2=disk1 cd"},
    {K "-drive file=a,if=none,id=d -device ich9-ahci,id=s -device ide-hd,drive=d,bus=s.3", NULL,
     "ctl0.id=s\nctl0.unit3=disk0"},
    {K "-drive file=a,if=none,id=d -device nvme,drive=d,serial=1,id=n -drive file=b,if=none,id=e -device nvme-ns,drive=e,bus=n", NULL,
     "ctl0.unit0=disk0\nctl0.unit1=disk1"},
    {K "-device nvme,serial=1", "-device nvme,serial=1: drive property not set", NULL},
    {K "-drive file=a,if=none,id=d -device ich9-ahci,id=s -device ide-hd,drive=d,bus=s.6",
     "-device ide-hd,drive=d,bus=s.6: Bus 's.6' not found", NULL},
    {K "-drive file=a,if=none,id=d -device virtio-scsi-pci,id=s -device scsi-hd,drive=d,bus=s.0,scsi-id=2", NULL,
     "ctl0.id=s\nctl0.unit2=disk0"},
    {K "-drive file=a,if=none,id=d -device scsi-cd,drive=d",
     "-device scsi-cd,drive=d: no 'scsi' controller has a place for it", NULL},
    {K "-M q35 -hda x -drive file=y,index=5", NULL, "ctl0.id=ahci\nctl0.unit0=disk0\nctl0.unit5=disk1"},
    {K "-hda x -drive file=y,if=virtio,id=ide", "-drive: Duplicate ID 'ide': a controller has it already", NULL},
    {K "-hda x -hda y", "-hda y: drive with index=0 exists", NULL},
    {K "-drive if=ide,index=1,media=cdrom", NULL, "ctl0.unit1=empty cd"},
    {K "-drive file=a,if=none,id=d -device ide-hd,drive=d,bus=ide.1,unit=1", NULL, "ctl0.unit3=disk0"},
    {K "-drive file=a,if=none,id=d -device ide-hd,drive=d,bus=ide.7",
     "-device ide-hd,drive=d,bus=ide.7: Bus 'ide.7' not found", NULL},
    {K "-hda x -device ide-cd,bus=ide.0,unit=0", "-device ide-cd,bus=ide.0,unit=0: bus 'ide.0': the place is taken", NULL},
    {K "-enable-kvm",
     "-enable-kvm: not built in this version: KVM is not used, CPUs are emulated (-accel "
     "tcg)",
     NULL},
    {K "-global a.b=c",
     "-global a.b=c: no such property (available: isa-debugcon.iobase, PIIX4_PM.disable_s3, "
     "ICH9-LPC.disable_s3)",
     NULL},
    {K "-vnc :0", NULL, "display=vnc\nvnc=1 :0 to 0 share 0"},
    {K "-display vnc=[::1]:7,to=9,password=on,share=force-shared", NULL, "vnc=1 ::1:7 to 9 password share 1"},
    {K "-vnc unix:/tmp/x,lossy=on", NULL, "vnc=2 /tmp/x:0 to 0 lossy share 0"},
    {K "-vnc none", NULL, "display=vnc\nvnc=3 :0 to 0 share 0"},
    {K "", NULL, "display=vnc\nvnc=1 127.0.0.1:0 to 99 share 0"},
    {K "-nographic", NULL, "display=none\n!vnc="},
    {K "-vnc x", "-vnc x: can't convert to a display number: 'x' (host:number, unix:path or none)", NULL},
    {K "-vnc :0 -vnc :1", "-vnc :1: only one VNC server is possible", NULL},
    {K "-vnc :0,websocket=on", "-vnc :0,websocket=on: 'websocket' is not built: websockets are not built", NULL},

    /* machine */
    {K "", NULL,
     "mem=134217728\nname=vm\nmachine=pc\ncpu=qemu64\nrtc=utc\nsandbox=require\n!serial0"},
    {K "-m 1.5G", NULL, "mem=1610612736"},
    {K "-m size=600M", NULL, "mem=629145600"},
    {K "-m 262144k", NULL, "mem=268435456"},
    {K "-m 5x",
     "-m 5x: Parameter 'size' expects a size (a number and k, M, G, T, P or E), not '5x'", NULL},
    {K "-m -5",
     "-m -5: Parameter 'size' expects a size (a number and k, M, G, T, P or E), not '-5'", NULL},
    {K "-m 0", "-m 0: memory size '0' is below the minimum of 1M", NULL},
    {K "-m 99999999999999999999",
     "-m 99999999999999999999: Parameter 'size' expects a size (a number and "
     "k, M, G, T, P or E), not '99999999999999999999'",
     NULL},
    {K "-m 9000T", "-m 9000T: memory size '9000T' is above the maximum of 1T", NULL},
    {K "-m 1G,slots=2", "-m 1G,slots=2: 'slots' is not built: memory cannot be added at run time",
     NULL},
    {K "-M pc-i440fx-7.2,accel=kvm:tcg,usb=off", NULL, "machine=pc"},
    {K "-machine q35", NULL, "machine=q35"},
    {K "-M pc-q35-7.2,smm=on", NULL, "machine=q35"},
    {K "-M pc-i440fx-x", "-M pc-i440fx-x: unsupported machine type 'pc-i440fx-x' (available: pc, q35, pc-i440fx-N.M, pc-q35-N.M)", NULL},
    {K "-M smm=off", "-M smm=off: smm=off is not built: firmware has it, and nothing else can use it", NULL},
    {K "-machine microvm", "-machine microvm: unsupported machine type 'microvm' (available: pc, q35, pc-i440fx-N.M, pc-q35-N.M)",
     NULL},
    {K "-M pc,usb=on", "-M pc,usb=on: usb=on is not built (built: off)", NULL},
    {K "-M pc,foo=1", "-M pc,foo=1: Invalid parameter 'foo'", NULL},
    {K "-accel kvm", "-accel kvm: KVM is not used, CPUs are emulated (-accel tcg)", NULL},
    {K "-accel kvm -accel tcg,thread=multi", NULL, "machine=pc"},
    {K "-accel hax", "-accel hax: invalid accelerator 'hax' (available: tcg, interp)", NULL},
    {K "-accel tcg,tb-size=5", NULL, "tb_size=5242880"},
    {K "-accel tcg", NULL, "tb_size=268435456"},
    {K "-accel interp", NULL, "tb_size=0"},
    {K "-M pc,accel=interp", NULL, "tb_size=0"},
    {K "-accel tcg,tb-size=99999999", "-accel tcg,tb-size=99999999: Parameter 'tb-size' must be from 0 to 2048, not '99999999'", NULL},
    {K "-accel tcg,thread=single", "-accel tcg,thread=single: thread=single is not built (built: multi)", NULL},
    {K "-cpu foo", "-cpu foo: unable to find CPU model 'foo' ('-cpu help' lists them)", NULL},
    {K "-cpu max,+avx9", "-cpu max,+avx9: no property or feature 'avx9' ('-cpu help' lists the features)", NULL},
    {K "-cpu max,sse3=maybe", "-cpu max,sse3=maybe: Parameter 'sse3' expects 'on' or 'off', not 'maybe'", NULL},
    {K "-cpu max,avx512f=on,enforce", "-cpu max: not carried on this host: avx512f", NULL},
    {K "-cpu max,enforce,-sse4_2,lahf_lm=off", NULL, "cpu=max\n!feature.sse4.2\n!feature.lahf-lm\nfeature.pni=on"},
    {K "-cpu max,+sse3,pni=off", NULL, "feature.pni=on"},
    {K "-cpu max,+sse3,-sse3,sse3=on", NULL, "!feature.pni"},
    {K "-cpu Haswell-noTSX,check=off", NULL, "cpu=Haswell-noTSX\nfeature.pcid=on\n!feature.rtm\n!feature.hle"},
    {K "-cpu EPYC,check=off,vendor=GenuineIntel,family=6,model=0x3a,stepping=9", NULL,
     "identity=GenuineIntel 6 58 9"},
    {K "-cpu max,vendor=Me", "-cpu max,vendor=Me: vendor expects 12 characters, as GenuineIntel or AuthenticAMD",
     NULL},
    {K "-smp 1,sockets=1,cores=1,threads=1", NULL, "smp=1"},
    {K "-smp 4", NULL, "smp=4"},
    {K "-smp 8,sockets=2,threads=2", NULL, "topology=2,1,2,2"},
    {K "-smp cores=2,threads=2", NULL, "smp=4"},
    {K "-smp 6", NULL, "topology=1,1,6,1"},
    {K "-smp 12,dies=2,cores=3", NULL, "topology=2,2,3,1"},
    {K "-smp 4,cores=3", "-smp 4,cores=3: invalid CPU topology: sockets (1) * dies (1) * cores (3) * threads (1) is not maxcpus (4)", NULL},
    {K "-smp 4,maxcpus=2", "-smp 4,maxcpus=2: invalid CPU topology: maxcpus (2) is smaller than cpus (4)", NULL},
    {K "-smp 2,maxcpus=4", "-smp 2,maxcpus=4: maxcpus=4: CPUs cannot be added at run time, only cpus=2", NULL},
    {K "-smp 65", "-smp 65: 65 CPUs: this machine has at most 64", NULL},
    {K "-smp 2,clusters=2", "-smp 2,clusters=2: clusters=2: a PC has no clusters", NULL},
    {K "-smp 33,sockets=33,cores=1,threads=1", NULL, "smp=33"},
    {K "-cpu max,hv-relaxed", "-cpu max,hv-relaxed: feature 'hv-relaxed' is not carried in this version", NULL},
    {K "-cpu max,vmx-ept=off,kvm=off,pmu=off", NULL, "cpu=max"},
    {K "-cpu max,tsc-frequency=2.5G", NULL, "cpu=max\ntsc_khz=2500000"},
    {K "-cpu max,tsc-freq=999k",
     "-cpu max,tsc-freq=999k: tsc-freq expects a rate from 1M to 100G (Hz), not '999k'", NULL},
    {K "-cpu max,phys-bits=53",
     "-cpu max,phys-bits=53: phys-bits expects a number from 0x20 to 0x34, not '53'", NULL},
    {K "-smp cpus=x", "-smp cpus=x: Parameter 'cpus' expects a number, not 'x'", NULL},
    {K "-rtc base=2006-06-17T16:01:21,clock=host", NULL,
     "rtc=2006-06-17T16:01:21\nrtc_start=1150560081"},
    {K "-rtc localtime", NULL, "rtc=localtime"},
    {K "-rtc base=2006-02-30", "-rtc base=2006-02-30: no such date since 1970: '2006-02-30'", NULL},
    {K "-rtc base=noon",
     "-rtc base=noon: invalid datetime 'noon' (valid: utc, localtime, "
     "2006-06-17T16:01:21, 2006-06-17)",
     NULL},
    {K "-rtc clock=vm", "-rtc clock=vm: clock=vm is not built (built: host)", NULL},
    {K "-boot menu=on", NULL, "boot=, menu "},
    {K "-boot strict=on", NULL, "machine=pc"},
    {K "-name guest=bob,debug-threads=on -uuid 6BA7B810-9dad-11d1-80b4-00c04fd430c8", NULL,
     "name=bob\nuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
    {K "-uuid x", "-uuid x: failed to parse UUID string: wrong format", NULL},
    {K "-name abcdefghijklmnopqrstuvwxyz0123456789",
     "-name abcdefghijklmnopqrstuvwxyz0123456789: Parameter 'guest' is too long (limit 31 "
     "characters)",
     NULL},
    {K "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", NULL,
     "sandbox=require"},
    {K "-sandbox reduced", NULL, "sandbox=reduced"},
    {K "-sandbox maybe", "-sandbox maybe: 'maybe' is not a sandbox mode (require, reduced, off)",
     NULL},
    {K "-sandbox on,spawn=allow", "-sandbox on,spawn=allow: spawn=allow is not built (built: deny)",
     NULL},
    {K "-display gtk", "-display gtk: display 'gtk' is not built (available: none, vnc)", NULL},
    {K "-vga std", NULL, "vga=std 16 MiB slot -1 edid on 1280x800"},
    {"-kernel k -vga none", NULL, "!vga="},
    {K "-vga cirrus", "-vga cirrus: VGA card 'cirrus' is not built (available: none, std)", NULL},
    {K "-device VGA,vgamem_mb=32,xres=800,yres=600,edid=off,addr=5", NULL, "vga=std 32 MiB slot 5 edid off 800x600"},
    {K "-device VGA,vgamem_mb=3",
     "-device VGA,vgamem_mb=3: Parameter 'vgamem_mb' expects a power of two, not '3'", NULL},
    {K "-device VGA -device VGA", "-device VGA: only one VGA card is possible", NULL},
    {K "-daemonize -serial stdio", "-daemonize: cannot use stdio with -daemonize", NULL},
    {K "-daemonize -nographic", "-daemonize: -nographic cannot be used with -daemonize", NULL},
    {K "-no-shutdown -S -msg timestamp=on", NULL, "flags=no-shutdown paused nodefaults timestamp "},

    /* host ends */
    {"-kernel k -display none", NULL,
     "serial0=serial0\nchardev0.kind=null\n!mon0\nnet0.backend=user\nnet0.id=net0"},
    {"-kernel k -nographic -nic none -monitor none", NULL,
     "chardev0.kind=stdio\n!chardev0.mux\n!mon0\nserial0=serial0"},
    {"-kernel k -nographic -nic none -serial none", NULL,
     "chardev0.id=compat_monitor0\nmon0=compat_monitor0 readline\n!serial0"},
    {"-kernel k -nographic -nic none -qmp unix:/tmp/q,server=on,wait=off", NULL,
     "mon0=compat_monitor0 control\nchardev0.kind=unix\nchardev0.server=on\n!chardev0.wait\n"
     "chardev1.kind=stdio\n!chardev1.mux\nserial0=serial0"},
    {"-kernel k -nographic -nic none -serial mon:stdio", NULL,
     "chardev0.mux=on\nmon0=serial0 readline\n!mon1\n!chardev1"},
    {"-kernel k -nographic -nic none -serial stdio",
     "-nographic: cannot use stdio by multiple character devices", NULL},
    {K "-serial file:/tmp/a,b -serial pty -monitor tcp:127.0.0.1:4444,server,nowait", NULL,
     "chardev0.path=/tmp/"
     "a,b\nserial0=serial0\nserial1=serial1\nchardev1.kind=pty\nchardev2.kind=tcp\n"
     "chardev2.port=4444\nchardev2.host=127.0.0.1\n!chardev2.wait\nmon0=compat_monitor0 readline"},
    {K "-serial tcp::4444,server", NULL, "chardev0.wait=on\nchardev0.port=4444\n!chardev0.host"},
    {K "-serial tcp:[::1]:80", NULL, "chardev0.host=::1\nchardev0.port=80"},
    {K "-serial tcp:localhost",
     "-serial tcp:localhost: 'localhost' is not an address of the form host:port", NULL},
    {K "-serial tcp:a:99999",
     "-serial tcp:a:99999: Parameter 'port' must be from 1 to 65535, not '99999'", NULL},
    {K "-serial foo:x",
     "-serial foo:x: 'foo:x' is not a built char driver (stdio, mon:..., file:, unix:, "
     "tcp:, pty, null, chardev:, none)",
     NULL},
    {K "-serial stdio -monitor stdio",
     "-monitor stdio: cannot use stdio by multiple character devices", NULL},
    {K "-serial chardev:nope", "-serial chardev:nope: chardev 'nope' not found", NULL},
    {K "-serial chardev:c -chardev stdio,id=c,mux=on,signal=off -mon chardev=c", NULL,
     "serial0=c\nmon0=c readline\nchardev0.mux=on\nchardev0.no-signal=on"},
    {K "-chardev stdio,id=c -serial chardev:c -mon c", "-mon c: chardev 'c' is already in use",
     NULL},
    {K "-chardev stdio,id=c,mux=on -mon c,mode=control",
     "-mon c,mode=control: a control monitor cannot use chardev 'c', which has mux=on", NULL},
    {K "-chardev pty,id=charserial0 -device isa-serial,chardev=charserial0,id=serial0,index=0",
     NULL, "serial0=charserial0\nchardev0.kind=pty"},
    {K "-chardev socket,id=m,path=/tmp/m,server=on,wait=off -mon chardev=m,id=monitor,mode=control",
     NULL, "mon0=m control\nchardev0.path=/tmp/m"},
    {K "-chardev socket,id=m,host=::1,port=5 -mon m,mode=control,pretty=on", NULL,
     "mon0=m control pretty\nchardev0.kind=tcp"},
    {K "-chardev socket,id=m",
     "-chardev socket,id=m: socket needs path=, or host= and port=", NULL},
    {K "-chardev file,id=m", "-chardev file,id=m: file needs path=", NULL},
    {K "-chardev null", "-chardev null: Parameter 'id' is missing", NULL},
    {K "-chardev null,id=a -chardev null,id=a", "-chardev null,id=a: Duplicate ID 'a' for chardev",
     NULL},
    {K "-chardev spice,id=a",
     "-chardev spice,id=a: 'spice' is not a built char driver (null, stdio, file, "
     "socket, pty)",
     NULL},
    {K "-chardev socket,id=m,path=/tmp/m,telnet=on",
     "-chardev socket,id=m,path=/tmp/m,telnet=on: 'telnet' is not built", NULL},
    {K "-parallel stdio", "-parallel stdio: parallel ports are not built (available: none)", NULL},

    /* disks */
    {K "-drive file=a,,b.raw,if=virtio,readonly=on,cache=none,discard=unmap,serial=S1", NULL,
     "disk0.file=a,b.raw\ndisk0.readonly=on\ndisk0.cache=none\ndisk0.discard=on\ndisk0.serial=S1\n"
     "disk0.probe=on"},
    {K "-drive file=a,if=virtio,index=3 -drive file=b,if=virtio", NULL,
     "disk0.id=virtio3\ndisk1.id=virtio4"},
    {K "-drive file=a", NULL, "ctl0.unit0=disk0"},
    {K "-drive file=a,index=4", "-drive file=a,index=4: index=4: the IDE buses have drives 0 to 3", NULL},
    {K "-drive if=virtio", "-drive if=virtio: Parameter 'file' is missing", NULL},
    {K "-drive file=a,if=scsi",
     "-drive file=a,if=scsi: if=scsi is not built (available: ide, virtio, pflash, none)", NULL},
    {K "-drive file=a,if=virtio,format=vvfat",
     "-drive file=a,if=virtio,format=vvfat: image format 'vvfat' is not built (available: " ABI_IMAGE_FORMATS ")",
     NULL},
    {K "-drive file=a,if=virtio,aio=native",
     "-drive file=a,if=virtio,aio=native: aio=native is not built (built: threads)", NULL},
    {K "-drive file=a,if=virtio,snapshot=on,format=qcow2", NULL, "disk0.id=virtio0\ndisk0.file=a\ndisk0.snapshot=on"},
    {K "-snapshot -drive file=a,if=virtio,format=raw -drive file=b,if=virtio,readonly=on,format=raw", NULL,
     "disk0.snapshot=on\ndisk1.readonly=on\n!disk1.snapshot"},
    {K "-drive file=a,if=virtio,werror=stop,rerror=ignore,copy-on-read=on,detect-zeroes=on", NULL,
     "disk0.copy-on-read=on\ndisk0.detect-zeroes=on\ndisk0.werror=stop\ndisk0.rerror=ignore"},
    {K "-drive file=a,if=virtio,rerror=enospc",
     "-drive file=a,if=virtio,rerror=enospc: 'enospc' invalid read error action (report, ignore, stop)", NULL},
    {K "-drive file=a,if=virtio,detect-zeroes=unmap",
     "-drive file=a,if=virtio,detect-zeroes=unmap: setting detect-zeroes to unmap is not allowed without setting discard "
     "operation to unmap", NULL},
    {K "-drive file=a,if=virtio,copy-on-read=on,readonly=on",
     "-drive file=a,if=virtio,copy-on-read=on,readonly=on: copy-on-read needs an image that can be written", NULL},
    {K "-drive file=a,if=virtio,bps=100,throttling.iops-write=7,iops_size=4096", NULL,
     "disk0.throttle0=100\ndisk0.throttle8=7\ndisk0.throttle12=4096"},
    {K "-drive file=a,if=virtio,bps=100,bps_rd=7",
     "-drive file=a,if=virtio,bps=100,bps_rd=7: bps/iops/max total values and read/write values cannot be used at the same time",
     NULL},
    {K "-drive file=a,if=virtio,iops_max=7",
     "-drive file=a,if=virtio,iops_max=7: bps_max/iops_max require corresponding bps/iops values", NULL},
    {K "-drive file=a,if=none,id=d -device virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=4096", NULL,
     "disk0.blocks=4096/4096"},
    {K "-drive file=a,if=none,id=d -device virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=512",
     "-device virtio-blk-pci,drive=d,logical_block_size=4096,physical_block_size=512: logical_block_size > physical_block_size "
     "not supported", NULL},
    {K "-drive file=a,if=virtio,foo=1", "-drive file=a,if=virtio,foo=1: Invalid parameter 'foo'",
     NULL},
    {K "-drive file=a,if=virtio,serial=abcdefghijklmnopqrstu",
     "-drive "
     "file=a,if=virtio,serial=abcdefghijklmnopqrstu: Parameter 'serial' is too long (limit 20 "
     "characters)",
     NULL},
    {K "-drive file=a,if=virtio -drive file=a,if=virtio",
     "'a' is used by two disks, 'virtio0' and 'virtio1'", NULL},
    {K
     "-device virtio-blk-pci,drive=d,id=x,addr=5,serial=S2,share-rw=on -drive file=a,if=none,id=d",
     NULL, "disk0.device=x\ndisk0.slot=5\ndisk0.serial=S2\ndisk0.share-rw=on"},
    {K "-device virtio-blk-pci,drive=q",
     "-device virtio-blk-pci,drive=q: Property 'virtio-blk-pci.drive' "
     "can't find value 'q'",
     NULL},
    {K "-device virtio-blk-pci", "-device virtio-blk-pci: drive property not set", NULL},
    {K "-device virtio-blk-pci,foo=1",
     "-device virtio-blk-pci,foo=1: Property 'virtio-blk-pci.foo' not "
     "found",
     NULL},
    {K "-device isa-debug-exit", NULL, "debug-exit=0x501+2"},
    {K "-device isa-debug-exit,iobase=0xf4,iosize=4,id=x", NULL, "debug-exit=0xf4+4"},
    {K "-device isa-debug-exit,iosize=5",
     "-device isa-debug-exit,iosize=5: Parameter 'iosize' expects 1 to 4 ports, not '5'", NULL},
    {K "-device isa-debug-exit,iobase=0xffff",
     "-device isa-debug-exit,iobase=0xffff: the ports end beyond 0xffff", NULL},
    {K "-device isa-debug-exit -device isa-debug-exit,iobase=0xf4",
     "-device isa-debug-exit,iobase=0xf4: only one isa-debug-exit is possible", NULL},
    {K "-device foo",
     "-device foo: 'foo' is not a valid device model name ('-device help' lists them)", NULL},
    {K "-drive if=none,id=a,file=x -drive if=none,id=b,file=y -device virtio-blk-pci,drive=a,bootindex=1 "
       "-device virtio-blk-pci,drive=b,bootindex=1",
     "-device virtio-blk-pci,drive=b,bootindex=1: The bootindex 1 has already been used", NULL},
    {K "-device virtio-blk-pci,addr=3.1",
     "-device virtio-blk-pci,addr=3.1: addr=3.1: devices with several "
     "functions are not built",
     NULL},
    {K "-drive if=none,id=a,file=x -device virtio-blk-pci,drive=a -device virtio-blk-pci,drive=a",
     "-device virtio-blk-pci,drive=a: drive 'a' is already in use by another device", NULL},
    {K "-drive if=none,id=a,file=x -drive if=none,id=a,file=y",
     "-drive if=none,id=a,file=y: Duplicate ID 'a' for drive", NULL},
    {K "-drive if=none,id=a,file=x -device virtio-blk-pci,drive=a,addr=1",
     "-device: addr=0x1 of 'a': PCI slot is already in use", NULL},
    {K "-blockdev driver=file,node-name=f,filename=/x,discard=unmap "
       "-blockdev '{\"driver\":\"raw\",\"node-name\":\"r\",\"file\":\"f\",\"read-only\":true,"
       "\"cache\":{\"direct\":true}}' -device "
       "'{\"driver\":\"virtio-blk-pci\",\"drive\":\"r\",\"id\":\"v\"}'",
     NULL,
     "disk0.id=r\ndisk0.file=/"
     "x\ndisk0.readonly=on\ndisk0.cache=none\ndisk0.device=v\n!disk0.discard"},
    {K "-blockdev raw,node-name=r,file.driver=file,file.filename=/x -device virtio-blk-pci,drive=r",
     NULL, "disk0.id=r\ndisk0.file=/x\n!disk0.probe"},
    {K "-blockdev vvfat,node-name=r,file=f",
     "-blockdev vvfat,node-name=r,file=f: block driver 'vvfat' is "
     "not built (available: " ABI_IMAGE_FORMATS ", file, host_device)",
     NULL},
    {K "-blockdev raw,node-name=r,file=f",
     "-blockdev raw,node-name=r,file=f: Cannot find node-name 'f'", NULL},
    {K "-blockdev '{\"driver\":'", "-blockdev {\"driver\":: JSON parse error, unexpected end",
     NULL},

    /* network */
    {K "-netdev user,id=n,hostfwd=udp::53-10.0.2.15:53,restrict=on,dnssearch=a,dnssearch=b -device "
       "virtio-net-pci,netdev=n,mac=52:54:00:aa:bb:cc,id=nic,addr=1f",
     NULL,
     "net0.id=n\nnet0.device=nic\nnet0.mac=52:54:00:aa:bb:cc\nnet0.restrict=on\nnet0.slot=31\n"
     "net0.hostfwd=udp::53-10.0.2.15:53\nnet0.dnssearch=a\nnet0.dnssearch=b"},
    {K "-nic user,hostfwd=::8080-:80", NULL, "net0.hostfwd=tcp::8080-:80"},
    {K "-nic user -nic user,mac=52:54:00:12:34:57 -nic user", NULL,
     "net0.mac=52:54:00:12:34:56\nnet1.mac=52:54:00:12:34:57\nnet2.mac=52:54:00:12:34:58\nnet2.id="
     "net2"},
    {K "-net nic,model=virtio,macaddr=52:54:00:00:00:01 -net user,hostfwd=tcp::1-:2", NULL,
     "net0.mac=52:54:00:00:00:01\nnet0.hostfwd=tcp::1-:2"},
    {K "-net user,name=u -net nic", NULL, "net0.id=u\nnet0.mac=52:54:00:12:34:56"},
    {K "-net nic", "-net nic: the network card has no back end (netdev=, or -net user)", NULL},
    {"-kernel k -display none -net none", NULL, "!net0"},
    {K "-netdev user,id=n,hostfwd=tcp::99999-:22",
     "-netdev user,id=n,hostfwd=tcp::99999-:22: Invalid host "
     "forwarding rule 'tcp::99999-:22' (Bad host port)",
     NULL},
    {K "-nic user,hostfwd=tcp:300.1.1.1:1-:2",
     "-nic user,hostfwd=tcp:300.1.1.1:1-:2: Invalid host "
     "forwarding rule 'tcp:300.1.1.1:1-:2' (Bad host address)",
     NULL},
    {K "-nic user,hostfwd=sctp::1-:2",
     "-nic user,hostfwd=sctp::1-:2: Invalid host forwarding rule "
     "'sctp::1-:2' (Bad protocol name)",
     NULL},
    {K "-nic user,hostfwd=tcp::1-:0",
     "-nic user,hostfwd=tcp::1-:0: Invalid host forwarding rule "
     "'tcp::1-:0' (Bad guest port)",
     NULL},
    {K "-nic user,net=192.168.7.0/24,host=192.168.7.2,dhcpstart=192.168.7.20,dns=192.168.7.3", NULL,
     "net0.net=192.168.7.0/"
     "24\nnet0.host=192.168.7.2\nnet0.dhcpstart=192.168.7.20\nnet0.dns=192.168.7.3"},
    {K "-nic user,net=192.168.7.9/255.255.255.0", NULL, "net0.net=192.168.7.0/24"},
    {K "-nic user,host=10.0.3.2",
     "-nic user,host=10.0.3.2: host=10.0.3.2 is not inside the network", NULL},
    {K "-nic user,net=10.0.2.0/99",
     "-nic user,net=10.0.2.0/99: Parameter 'net' expects a network "
     "(10.0.2.0/24), not '10.0.2.0/99'",
     NULL},
    {K "-nic user,dns=x", "-nic user,dns=x: Parameter 'dns' expects an IPv4 address, not 'x'",
     NULL},
    {K "-nic user,ipv6=off", NULL, "net0.no-ipv6=on\n!net0.no-ipv4"},
    {K "-nic user,ipv6=on", NULL, "net0.no-ipv4=on"},
    {K "-nic user,ipv6-net=fd00::/64", NULL, "net0.ipv6-net=fd00::/64"},
    {K "-nic user,ipv4=off,ipv6=off",
     "-nic user,ipv4=off,ipv6=off: ipv4=off and ipv6=off leave nothing", NULL},
    {K "-nic vde", "-nic vde: network back end 'vde' is not built (available: user, tap, bridge, socket, stream, "
                   "dgram, null)", NULL},
    {K "-nic tap,ifname=t0,script=no,downscript=no", NULL,
     "net0.backend=tap\nnet0.type=tap\nnet0.ifname=t0\nnet0.script=no"},
    {K "-nic tap,downscript=/x", "-nic tap,downscript=/x: downscript=/x is not built (built: no)", NULL},
    {K "-nic tap,fd=5,ifname=t", "-nic tap,fd=5,ifname=t: fd= excludes ifname=, script=, br= and helper=", NULL},
    {K "-nic tap,br=b", "-nic tap,br=b: br= needs helper= (or use -netdev bridge)", NULL},
    {K "-nic bridge,br=b", NULL, "net0.backend=tap\nnet0.type=bridge\nnet0.br=b"},
    {K "-nic stream,addr.type=unix,addr.path=/s", NULL, "net0.backend=stream\nnet0.at=unix:/s"},
    {K "-nic stream,server=on,addr.type=inet,addr.host=h,addr.port=7", NULL,
     "net0.at=inet:h:7\nnet0.server=on"},
    {K "-nic stream,addr.type=unix", "-nic stream,addr.type=unix: Parameter 'addr.path' is missing", NULL},
    {K "-nic stream,addr.type=vsock", "-nic stream,addr.type=vsock: Parameter 'addr.type' expects inet, unix or fd, "
                                      "not 'vsock'", NULL},
    {K "-nic dgram,local.type=fd,local.str=9", NULL, "net0.backend=dgram\nnet0.local=fd:9"},
    {K "-nic dgram,remote.type=inet,remote.host=230.0.0.1,remote.port=7", NULL,
     "net0.at=inet:230.0.0.1:7\nnet0.mcast=on"},
    {K "-nic socket,listen=:7", NULL, "net0.backend=stream\nnet0.type=socket\nnet0.at=inet::7\nnet0.server=on"},
    {K "-nic socket,mcast=230.0.0.1:7", NULL, "net0.backend=dgram\nnet0.mcast=on"},
    {K "-nic socket,udp=h:7", "-nic socket,udp=h:7: udp= needs localaddr=host:port", NULL},
    {K "-nic socket,listen=:7,connect=h:8",
     "-nic socket,listen=:7,connect=h:8: exactly one of fd=, listen=, connect=, mcast= and udp= is needed", NULL},
    {K "-nic null", NULL, "net0.backend=null"},
    {K "-nic user,model=e1000",
     "-nic user,model=e1000: NIC model 'e1000' is not built (available: "
     "virtio-net-pci)",
     NULL},
    {K "-nic user,mac=01:00:00:00:00:00",
     "-nic user,mac=01:00:00:00:00:00: Parameter 'mac': "
     "'01:00:00:00:00:00' is a multicast address",
     NULL},
    {K "-nic user,mac=zz",
     "-nic user,mac=zz: Parameter 'mac' expects an Ethernet address, not 'zz'", NULL},
    {K "-nic user,tftp=/", "-nic user,tftp=/: 'tftp' is not built", NULL},
    {K "-netdev user", "-netdev user: Parameter 'id' is missing", NULL},
    {K "-drive if=virtio,id=a,file=x,format=raw -nic user,id=a,model=virtio-net-pci",
     "-netdev: Duplicate ID 'a': a drive has it already", NULL},
    {K "-netdev user,id=n -netdev user,id=n", "-netdev user,id=n: Duplicate ID 'n' for netdev",
     NULL},
    {K "-netdev user,id=n -device virtio-net-pci,netdev=n -device virtio-net-pci,netdev=n",
     "-device virtio-net-pci,netdev=n: netdev 'n' is already in use by another card", NULL},
    {K "-device virtio-net-pci,netdev=q",
     "-device virtio-net-pci,netdev=q: Property "
     "'virtio-net-pci.netdev' can't find value 'q'",
     NULL},
    {K "-netdev user,id=n -device virtio-net-pci-non-transitional,netdev=n", NULL,
     "net0.disable-legacy=on"},
};

static int split(char *text, char **argv)
{
    int argc = 0;

    argv[argc++] = (char *)"bulkhead";
    for (char *s = text; *s && argc < ARGS_MAX - 1;) {
        char end = *s == '\'' ? '\'' : ' ';

        if (*s == ' ') {
            s++;
            continue;
        }
        s += end == '\'';
        argv[argc++] = s;
        while (*s && *s != end)
            s++;
        if (*s)
            *s++ = 0;
    }
    argv[argc] = NULL;
    return argc;
}

static int has_line(const char *dump, const char *want, size_t len, int prefix)
{
    for (const char *s = dump; *s; s = strchr(s, '\n') + 1)
        if (!strncmp(s, want, len) && (prefix || s[len] == '\n'))
            return 1;
    return 0;
}

static int check_dump(const struct plan *p, const char *expect)
{
    char *dump = NULL;
    size_t size = 0, len;
    FILE *f = open_memstream(&dump, &size);
    int bad = 0;

    plan_dump(p, f);
    fclose(f);
    for (const char *s = expect; *s; s += len + (s[len] == '\n')) {
        len = strcspn(s, "\n");
        if (*s == '!' ? has_line(dump, s + 1, len - 1, 1) : !has_line(dump, s, len, 0)) {
            printf("# %s: %.*s\n", *s == '!' ? "unwanted" : "missing", (int)len, s);
            bad = 1;
        }
    }
    if (bad)
        printf("# plan:\n%s", dump);
    free(dump);
    return bad;
}

static int check(const struct line *l)
{
    static struct plan p;
    char *text = strdup(l->args), *argv[ARGS_MAX], err[1024], want[1024];
    int argc = split(text, argv);
    int rc = plan_parse_to(&p, argc, argv, stdout, err, sizeof(err)), bad = 0;

    if (l->error) {
        snprintf(want, sizeof(want), "bulkhead: %s", l->error);
        bad = rc != -1 || strcmp(err, want);
        if (bad)
            printf("# rc %d\n# got  %s\n# want %s\n", rc, err, want);
    } else if (rc) {
        printf("# rc %d: %s\n", rc, err);
        bad = 1;
    } else {
        bad = check_dump(&p, l->expect);
    }
    free(text);
    return bad;
}

int main(void)
{
    unsigned n = sizeof(lines) / sizeof(lines[0]);
    int failed = 0;

    printf("1..%u\n", n);
    for (unsigned i = 0; i < n; i++) {
        int bad = check(&lines[i]);

        printf("%sok %u - %s\n", bad ? "not " : "", i + 1, lines[i].args);
        failed |= bad;
    }
    return failed;
}
