# Sourced by the scripts that run in the container: the program from the checkout, with its units, without install.sh.
project=/checkout
visiond=/opt/visiond/venv/bin/visiond
socket=/run/visiond/visiond.sock
config=/etc/visiond/visiond.yaml

put_program() { # what install.sh would put, from the rig's own packages: no network, a few seconds
    mkdir -p /opt/visiond /etc/visiond
    python3 -m venv --system-site-packages /opt/visiond/venv
    echo /opt/rig-venv/lib/python3.*/site-packages >"$(echo /opt/visiond/venv/lib/python3.*/site-packages)/rig.pth"
    mkdir /tmp/source
    (cd $project && cp -r daemon docs models LICENSE README.md pyproject.toml setup.cfg /tmp/source)
    /opt/visiond/venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation /tmp/source
    $visiond --version
    systemd-sysusers $project/systemd/sysusers.conf
    getent group plugdev >/dev/null || groupadd --system plugdev
    install -m 0644 $project/systemd/visiond.service $project/systemd/visiond-queue.service $project/systemd/visiond.socket /etc/systemd/system/
    install -m 0644 $project/systemd/tmpfiles.conf /etc/tmpfiles.d/visiond.conf
    systemd-tmpfiles --create /etc/tmpfiles.d/visiond.conf
    systemctl daemon-reload
}

put_network_cameras() { # the drop-in that is shipped for them
    install -D -m 0644 $project/systemd/visiond.service.d-network-cameras.conf /etc/systemd/system/visiond.service.d/network-cameras.conf
    systemctl daemon-reload
}
