BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE assignments (
	request_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	verb TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	overwrite BOOLEAN NOT NULL, 
	boot_id TEXT, 
	state TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (request_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "assignments" VALUES('29b16e4d-878a-4beb-a50b-6c92baff3a4f:image.deploy:1','29b16e4d-878a-4beb-a50b-6c92baff3a4f','7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','image.deploy',1,0,'8b5cfdca-cd1b-4179-b396-dcd0200a2020','open','2026-05-01 12:00:00.000000');
CREATE TABLE credentials (
	digest TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	request_id TEXT, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "credentials" VALUES('cd686bf67c19133e5926ca7f283e7093dc86a28a5a6c0b1af88da1f0dc348a71','7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','ramdisk',NULL);
CREATE TABLE flavors (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cpu_arch TEXT NOT NULL, 
	cores INTEGER NOT NULL, 
	ram_mb INTEGER NOT NULL, 
	disks INTEGER NOT NULL, 
	disk_gb INTEGER NOT NULL, 
	disk_media TEXT, 
	nics INTEGER NOT NULL, 
	nic_mbps INTEGER, 
	firmware TEXT, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "flavors" VALUES('232b2307-cb6b-4c2c-9105-b36fdeb8f3c3','small','x86_64',2,1024,1,10,NULL,1,NULL,NULL,'2026-05-01 12:00:00.000000');
CREATE TABLE "images" (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	format TEXT NOT NULL, 
	min_disk_gb INTEGER NOT NULL, 
	firmware TEXT NOT NULL, 
	agent BOOLEAN, 
	url TEXT, 
	sha256 TEXT, 
	file_bytes BIGINT, 
	size_bytes BIGINT, 
	created_at DATETIME NOT NULL, 
	status TEXT DEFAULT 'active' NOT NULL, 
	sector_bytes INTEGER, 
	mirrors TEXT DEFAULT '[]' NOT NULL, 
	sha512 TEXT, 
	checksums TEXT, 
	access TEXT DEFAULT '{}' NOT NULL, 
	fault TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "images" VALUES('bb0a3d69-800a-478f-84e7-6d3db67cd01f','debian','raw.zst',1,'both',1,'http://controller.example:8480/d','abababababababababababababababababababababababababababababababab',NULL,NULL,'2026-05-01 12:00:00.000000','active',NULL,'[]',NULL,NULL,'{"bearer":null,"username":null,"password":null,"ca_pem":null,"proxy":null}',NULL);
INSERT INTO "images" VALUES('1fb84bf5-cd3c-45f4-8ed6-d7f9c598e8e2','far','qcow2',1,'both',NULL,'https://images.example/far.qcow2',NULL,NULL,NULL,'2026-05-01 12:00:00.000000','active',NULL,'["https://mirror.example/far.qcow2"]','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd',NULL,'{"bearer":null,"username":"me","password":"swordfish","ca_pem":null,"proxy":null}',NULL);
INSERT INTO "images" VALUES('f83dad48-6c9f-4d91-840e-d26b0c392289','coming','chunked',1,'both',NULL,NULL,NULL,NULL,NULL,'2026-05-01 12:00:00.000000','queued',NULL,'[]',NULL,NULL,'{"bearer":null,"username":null,"password":null,"ca_pem":null,"proxy":null}',NULL);
CREATE TABLE imports (
	image_id TEXT NOT NULL, 
	step TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	kind TEXT, 
	file TEXT NOT NULL, 
	url TEXT, 
	access TEXT NOT NULL, 
	sha256 TEXT, 
	sha512 TEXT, 
	spec TEXT NOT NULL, 
	doing TEXT NOT NULL, 
	done_bytes BIGINT NOT NULL, 
	total_bytes BIGINT, 
	ordered_at DATETIME NOT NULL, 
	PRIMARY KEY (image_id), 
	FOREIGN KEY(image_id) REFERENCES images (id)
);
INSERT INTO "imports" VALUES('f83dad48-6c9f-4d91-840e-d26b0c392289','fetch',0,NULL,'a.vmdk','https://images.example/a.vmdk','{"bearer":null,"username":null,"password":null,"ca_pem":null,"proxy":null}',NULL,NULL,'{"name":"coming","min_disk_gb":null,"firmware":null,"sector_bytes":null,"agent":null}','waiting for its turn',0,NULL,'2026-05-01 12:00:00.000000');
CREATE TABLE inventories (
	node_id TEXT NOT NULL, 
	inventory TEXT NOT NULL, 
	taken_at DATETIME NOT NULL, 
	PRIMARY KEY (node_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "inventories" VALUES('7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','{"system":{"vendor":"Example","product":"Box","serial":"BOX1","uuid":"4c4c4544-0000-4000-8000-000000000001","firmware_vendor":null,"firmware_version":null,"firmware_date":null,"firmware_mode":"bios","asset_tag":null},"cpu":{"architecture":"x86_64","model":null,"sockets":null,"cores":4,"threads":8,"numa_nodes":null,"flags":[],"microcode":null,"max_mhz":null},"memory":{"total_bytes":4294967296,"physical_bytes":4294967296,"slots":null,"dimms":[]},"disks":[{"name":"sda","path":"/dev/sda","size_bytes":40000000000,"vendor":null,"model":null,"serial":"SN-sda","wwn":"0x5000000000736461","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]},{"name":"sdb","path":"/dev/sdb","size_bytes":80000000000,"vendor":null,"model":null,"serial":"SN-sdb","wwn":"0x5000000000736462","transport":"sata","rotational":false,"logical_sector_bytes":512,"physical_sector_bytes":512,"removable":false,"read_only":false,"by_path":null,"hctl":null,"firmware":null,"contents":[],"users":[]}],"nics":[{"name":"eno1","mac":"52:54:00:00:01:01","current_mac":"52:54:00:00:01:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null},{"name":"eno2","mac":"52:54:00:00:02:01","current_mac":"52:54:00:00:02:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null}]}','2026-05-01 12:00:00.000000');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	operation TEXT NOT NULL, 
	hard BOOLEAN NOT NULL, 
	node_id TEXT NOT NULL, 
	server_id TEXT, 
	status TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	phase_at DATETIME NOT NULL, 
	boot_id TEXT, 
	request_id TEXT, 
	power_wanted TEXT, 
	power_at DATETIME, 
	fault TEXT, 
	begun_at DATETIME NOT NULL, 
	ended_at DATETIME, verify BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id), 
	FOREIGN KEY(server_id) REFERENCES servers (id)
);
INSERT INTO "jobs" VALUES('29b16e4d-878a-4beb-a50b-6c92baff3a4f','create',0,'7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','3cb2c2ef-6754-45af-9ea8-0ba6546f8576','INIT','ramdisk','waiting for the agent','2026-05-01 12:00:00.000000','8b5cfdca-cd1b-4179-b396-dcd0200a2020','29b16e4d-878a-4beb-a50b-6c92baff3a4f:image.deploy:1',NULL,NULL,NULL,'2026-05-01 12:00:00.000000',NULL,0);
CREATE TABLE keypairs (
	name TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	fingerprint TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "keypairs" VALUES('me','ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone@example','SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA','2026-05-01 12:00:00.000000');
CREATE TABLE node_macs (
	mac TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	PRIMARY KEY (mac), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "node_macs" VALUES('52:54:00:00:01:01','7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4');
INSERT INTO "node_macs" VALUES('52:54:00:00:02:01','7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4');
CREATE TABLE nodes (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	boot_mac TEXT NOT NULL, 
	state TEXT NOT NULL, 
	maintenance BOOLEAN NOT NULL, 
	clean BOOLEAN NOT NULL, 
	boot_target TEXT NOT NULL, 
	power TEXT NOT NULL, 
	bmc TEXT, 
	fault TEXT, 
	server_id TEXT, 
	job_id TEXT, 
	session_id TEXT, 
	controller_url TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	desired_digest TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	UNIQUE (identity), 
	UNIQUE (server_id)
);
INSERT INTO "nodes" VALUES('7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','node-525400000101','smbios:4c4c4544-0000-4000-8000-000000000001','52:54:00:00:01:01','deploying',0,0,'ramdisk','On',NULL,NULL,'3cb2c2ef-6754-45af-9ea8-0ba6546f8576','29b16e4d-878a-4beb-a50b-6c92baff3a4f','fd85ef4c-63ea-4437-b432-ae0e5839e11a','http://controller.example:8480',2,'bd7f65224010d783681d0cb365fe000ba1f502a58c8fa16fb7a322df0eb63865','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000');
CREATE TABLE phases (
	id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	began_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "phases" VALUES('29b16e4d-878a-4beb-a50b-6c92baff3a4f:0000','29b16e4d-878a-4beb-a50b-6c92baff3a4f',0,'waiting for the agent','2026-05-01 12:00:00.000000',NULL);
CREATE TABLE ports (
	id TEXT NOT NULL, 
	server_id TEXT NOT NULL, 
	subnet_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	mac TEXT NOT NULL, 
	address TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (subnet_id, address), 
	FOREIGN KEY(server_id) REFERENCES servers (id), 
	FOREIGN KEY(subnet_id) REFERENCES subnets (id)
);
INSERT INTO "ports" VALUES('9e3a6e86-0662-44c6-a0ec-578b5a3df837','3cb2c2ef-6754-45af-9ea8-0ba6546f8576','538172a5-960c-46e7-9eb4-bb30fa3e3c34',0,'52:54:00:00:01:01','10.1.0.2');
CREATE TABLE servers (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	status TEXT NOT NULL, 
	task_state TEXT, 
	flavor_id TEXT NOT NULL, 
	image_id TEXT NOT NULL, 
	key_name TEXT, 
	user_data TEXT, 
	metadata TEXT NOT NULL, 
	root_device TEXT, 
	disk TEXT NOT NULL, 
	node_id TEXT, 
	job_id TEXT, 
	owns_disk BOOLEAN NOT NULL, 
	deploy_id TEXT, 
	phone_home TEXT, 
	boot_proof TEXT, 
	machine_id TEXT, 
	fault TEXT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	launched_at DATETIME, 
	deleted_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "servers" VALUES('3cb2c2ef-6754-45af-9ea8-0ba6546f8576','web','BUILD','building','232b2307-cb6b-4c2c-9105-b36fdeb8f3c3','bb0a3d69-800a-478f-84e7-6d3db67cd01f','me',NULL,'{}',NULL,'{"serial":"SN-sda","wwn":"0x5000000000736461","by_path":null,"size_bytes":40000000000}','7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','29b16e4d-878a-4beb-a50b-6c92baff3a4f',0,'29b16e4d-878a-4beb-a50b-6c92baff3a4f:image.deploy:1',NULL,NULL,NULL,NULL,'2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000',NULL,NULL);
CREATE TABLE sessions (
	session_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	boot_id TEXT NOT NULL, 
	agent_version TEXT NOT NULL, 
	opened_at DATETIME NOT NULL, 
	seen_at DATETIME NOT NULL, 
	heartbeat_at DATETIME, 
	sequence INTEGER NOT NULL, 
	applied_generation INTEGER NOT NULL, 
	network TEXT, 
	progress TEXT, 
	problems TEXT NOT NULL, 
	PRIMARY KEY (session_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
INSERT INTO "sessions" VALUES('fd85ef4c-63ea-4437-b432-ae0e5839e11a','7a3f226b-4bbe-4ed7-94c7-ead5e62ce1f4','ramdisk','8b5cfdca-cd1b-4179-b396-dcd0200a2020','1','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000','2026-05-01 12:00:00.000000',1,0,'{"nics":[{"name":"eno1","mac":"52:54:00:00:01:01","current_mac":"52:54:00:00:01:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null},{"name":"eno2","mac":"52:54:00:00:02:01","current_mac":"52:54:00:00:02:01","pci_address":null,"driver":null,"vendor":null,"product":null,"speed_mbps":1000,"carrier":true,"up":false,"mtu":1500,"numa_node":null,"addresses":[],"gateway":null}]}',NULL,'[]');
CREATE TABLE streams (
	stream_id TEXT NOT NULL, 
	node_id TEXT NOT NULL, 
	acknowledged INTEGER NOT NULL, 
	PRIMARY KEY (stream_id), 
	FOREIGN KEY(node_id) REFERENCES nodes (id)
);
CREATE TABLE subnets (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	vpc_id TEXT NOT NULL, 
	cidr TEXT NOT NULL, 
	gateway TEXT NOT NULL, 
	dns TEXT NOT NULL, 
	mtu INTEGER, 
	dhcp BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	FOREIGN KEY(vpc_id) REFERENCES vpcs (id)
);
INSERT INTO "subnets" VALUES('538172a5-960c-46e7-9eb4-bb30fa3e3c34','net','01ba306a-cbbf-4e26-926b-8626be011728','10.1.0.0/24','10.1.0.1','["10.1.0.254"]',NULL,0,'2026-05-01 12:00:00.000000');
CREATE TABLE tokens (
	digest TEXT NOT NULL, 
	mac TEXT NOT NULL, 
	expires_at DATETIME NOT NULL, 
	boot_id TEXT, 
	identity TEXT, 
	PRIMARY KEY (digest)
);
INSERT INTO "tokens" VALUES('ea1fa02d70e0e408c19f16f8677d5c5d16992be76b4d300b9071aa595a476b32','52:54:00:00:01:01','2026-05-01 13:00:00.000000','8b5cfdca-cd1b-4179-b396-dcd0200a2020','smbios:4c4c4544-0000-4000-8000-000000000001');
CREATE TABLE vpcs (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	cidr TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "vpcs" VALUES('01ba306a-cbbf-4e26-926b-8626be011728','cloud','10.0.0.0/8','2026-05-01 12:00:00.000000');
CREATE INDEX ix_node_macs_node_id ON node_macs (node_id);
CREATE INDEX ix_sessions_node_id ON sessions (node_id);
CREATE INDEX ix_credentials_node_id ON credentials (node_id);
CREATE INDEX ix_ports_server_id ON ports (server_id);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_jobs_server_id ON jobs (server_id);
CREATE INDEX ix_phases_job_id ON phases (job_id);
CREATE INDEX ix_assignments_job_id ON assignments (job_id);
CREATE INDEX ix_images_sha256 ON images (sha256);
COMMIT;
